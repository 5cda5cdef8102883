"""How much memory a method will need, and what fits: before anything is run."""

from lottery_tickets.sizing.available import available_memory
from lottery_tickets.sizing.planning import MemoryPlan, plan_memory
from lottery_tickets.sizing.prediction import Prediction, predict_peak
from lottery_tickets.sizing.tables import memory_tables

__all__ = [
    "MemoryPlan",
    "Prediction",
    "available_memory",
    "memory_tables",
    "plan_memory",
    "predict_peak",
]
