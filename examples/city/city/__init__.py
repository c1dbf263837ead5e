"""How many people will pass each counter of Auckland's centre, hour by hour, tomorrow?"""
