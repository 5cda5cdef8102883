"""Searches that train."""

import math

from lottery_tickets.sizing.case import Case
from lottery_tickets.sizing.network import Size
from lottery_tickets.sizing.passes import Room

_QUEUE = 5
"""Masks that early-bird compares, by default."""

_STATE = {"sgd": 0, "momentum": 1, "adamw": 2}
"""Tensors of a parameter's size that the optimizer keeps."""
_STEP = {"sgd": 0, "momentum": 0, "adamw": 2}
"""Tensors of a parameter's size that its step takes for a moment."""


def early_bird(case: Case) -> None:
    """`compute_early_bird_tickets`: the optimizer steps inside of backward, and each gradient is dropped."""
    book, kind = case.book, case.settings.optimizer
    width = max(one.itemsize for one in case.net.scored)
    count = case.net.count
    # Drawn with replacement, doubles dropped.
    draws = case.settings.sample_size
    sampled = round(count * -math.expm1(-draws / count)) if count > draws else count
    places = sampled if count > draws else 0
    if places:
        # Drawn, sorted (with order and room to sort in) and without doubles.
        book.touch("buffers", 8 * (5 * draws + sampled), "host")
    with book.held("buffers", 8 * places):
        copies = case.net.weight_bytes if case.settings.restore else 0
        with (
            book.held("weights", copies, "host"),
            book.held("weights", case.net.buffer_bytes),
            book.held("optimizer", _STATE[kind] * _trained(case)),
        ):
            room = Room(narrow=2 * _STEP[kind], wide=4 * _STEP[kind])
            with book.held("masks", (_QUEUE - 1) * sampled, "host"):
                case.handed_on(room, training=True, everything=True)
                with book.held("buffers", width * places):
                    parts = [max(1, one.numel * sampled // count) for one in case.net.scored]
                    case.select([Size("", part, width, 1) for part in parts], signed=False)
                    # The same joined on the host, and where it differs from another.
                    book.touch("masks", 2 * sampled, "host")
                    book.drop("masks", sum(parts))
            with book.held("masks", _QUEUE * sampled, "host"):
                case.select(case.net.scored, signed=False)


def imp(case: Case) -> None:
    """`compute_iterative_magnitude_pruning` with a train function that does forward, backward, optimizer.step and
    mask.apply, with gradients set to None before each pass. Its own data are not counted."""
    book, net, kind = case.book, case.net, case.settings.optimizer
    copies = net.weight_bytes * (2 if case.settings.restore else 1)
    with book.held("weights", copies, "host"), book.held("weights", net.buffer_bytes):
        book.take("masks", net.count)
        book.touch("masks", net.largest)
        with book.held("optimizer", _STATE[kind] * _trained(case)):
            gradients = case.piled()
            largest = max(one.bytes for one in net.parameters)
            # On CUDA torch steps all parameters at once.
            step = _STEP[kind] * largest
            book.touch("buffers", _trained(case) if case.cuda and kind == "adamw" else step)
            book.touch("masks", net.largest)
        # Looking for NaN takes a copy and three bytes a weight; looking for pruned weights that came back, three.
        book.touch("buffers", max(one.bytes + 3 * one.numel for one in net.parameters))
        case.forward()
        case.select(net.scored, signed=False)
        book.drop("masks", net.count)  # the level before
        book.drop("gradients", gradients)
    # The weights to rewind to are part of the answer.
    book.take("weights", net.weight_bytes, "host")


def _trained(case: Case) -> int:
    return sum(one.bytes for one in case.net.parameters if one.trains)
