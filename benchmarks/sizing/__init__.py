"""How many gateways does a load need, and how much do they remember?"""
