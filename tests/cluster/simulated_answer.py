"""Plausible results of rounds that nobody trained."""

from ticketsmith.experiment.contract import (
    BenchmarkRound,
    ReportRound,
    RoundResult,
    Timing,
    TrainRound,
)

PRUNABLE = 266_200
"""Prunable weights of LeNet-300-100 on MNIST."""


def plausible_answer(told: TrainRound | BenchmarkRound | ReportRound) -> RoundResult:
    """What such a round could have answered: accuracy falls slowly, then faster, as weights go."""
    match told:
        case BenchmarkRound():
            rounds = (told.dense, *told.tickets)
            timings = tuple(
                _timing(key, size) for key in rounds for size in told.benchmark.batch_sizes
            )
            return RoundResult(key=told.key, arm="benchmark", timings=timings)
        case ReportRound():
            return RoundResult(key=told.key, arm="report")
    accuracy = 0.98 - 0.02 * told.sparsity**8
    if told.arm in ("reinit", "random"):
        accuracy -= 0.02 * told.sparsity
    loss = 3.0 * (1.0 - accuracy)
    return RoundResult(
        key=told.key,
        arm=told.arm,
        seed=told.seed,
        level=told.level,
        remaining=PRUNABLE - round(told.sparsity * PRUNABLE),
        prunable=PRUNABLE,
        parameters=PRUNABLE + 410,
        metrics={"accuracy": accuracy, "valAccuracy": accuracy, "loss": loss, "valLoss": loss},
        iterations=1000,
        duration_seconds=1.0,
    )


def _timing(key: str, batch_size: int) -> Timing:
    """Zeros stored densely run as slow as any other number."""
    return Timing(
        round=key, batch_size=batch_size, path="dense", p50_ms=1.0, p95_ms=1.2, speedup=1.0, low=0.97, high=1.03
    )  # fmt: skip
