"""What AWS needs so that a project's pipelines run there on schedule, made, changed and deleted by `trikk aws`.

The road is one way: settings, triggers and compiled pipelines become a list of resources with the attributes that
are wanted (`environment_resources`, pure); each kind of resource reads what is there (`kinds`); the difference is
a list of changes (`change_plan`, pure); these are shown, and carried out in order (`aws_environment`). There is no
file of state: what belongs to an environment says so by its tags, so the next command goes on where one has died.
"""
