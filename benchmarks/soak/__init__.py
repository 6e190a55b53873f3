"""Does a gateway stay as it is, for a long time among vendors that fail at random?"""
