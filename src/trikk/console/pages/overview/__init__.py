"""`/`: is everything all right?"""
