"""TicketSmith: how sparse before quality drops, and what does that really save here?"""

__version__ = "0.1.0"
