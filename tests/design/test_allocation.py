"""Allocation: fair, balanced where it says so, and blind to who else is asked."""

import math

import numpy as np
import pytest

from vtrial.design import BATCH, allocate
from vtrial.protocol.design import Allocation

SIMPLE = Allocation((1, 1, 2))
BLOCKED = Allocation((1, 1, 2), "permuted block", 8)
STRATIFIED = Allocation((1, 2), "stratified", 6, ("FEMALE",))


def people(count, replicates=1):
    row = np.arange(count * replicates)
    return {"replicate": row // count, "subject": row % count}


def test_simple_shares_follow_the_weights():
    # Two-sided 4.9 sigma for three counts: a false alarm in about 300,000 seeds.
    count = 40_000
    arm = allocate(SIMPLE, seed=11, **people(count))
    for index, share in enumerate([0.25, 0.25, 0.5]):
        spread = math.sqrt(count * share * (1 - share))
        assert abs((arm == index).sum() - count * share) < 4.9 * spread


def test_simple_replicates_are_independent():
    # Agreement of two replicates has mean 3/8; 4.9 sigma: one alarm in a million.
    count = 20_000
    arm = allocate(SIMPLE, seed=5, **people(count, 2)).reshape(2, count)
    agreed = (arm[0] == arm[1]).sum()
    spread = math.sqrt(count * 0.375 * 0.625)
    assert abs(agreed - 0.375 * count) < 4.9 * spread


def test_every_block_is_balanced():
    arm = allocate(BLOCKED, seed=3, **people(800, 3)).reshape(-1, 8)
    counts = np.stack([(arm == index).sum(axis=1) for index in range(3)], axis=1)
    assert (counts == [2, 2, 4]).all()


def test_blocks_are_shuffled_evenly():
    # The first place of 4000 blocks holds arm 2 half the time; 4.9 sigma as above.
    arm = allocate(BLOCKED, seed=9, **people(32_000)).reshape(-1, 8)
    assert len({tuple(row) for row in arm}) > 300
    for place in range(8):
        assert abs((arm[:, place] == 2).sum() - 2000) < 4.9 * math.sqrt(1000)


@pytest.mark.parametrize("allocation", [SIMPLE, BLOCKED], ids=lambda a: a.by)
def test_split_calls_give_the_same_arms(allocation):
    who = people(333, 2)
    whole = allocate(allocation, seed=7, **who)
    order = np.random.default_rng(0).permutation(666)
    parts = np.array_split(order, 5)
    split = np.empty(666, int)
    for part in parts:
        split[part] = allocate(
            allocation, seed=7, **{name: ids[part] for name, ids in who.items()}
        )
    assert (split == whole).all()


@pytest.mark.parametrize("allocation", [SIMPLE, BLOCKED], ids=lambda a: a.by)
def test_seeds_and_replicates_differ(allocation):
    one = allocate(allocation, seed=1, **people(200))
    other = allocate(allocation, seed=2, **people(200))
    both = allocate(allocation, seed=1, **people(200, 2))
    assert (one != other).any()
    assert (both[:200] == one).all()
    assert (both[200:] != one).any()


def test_strata_are_balanced_within():
    count = 2 * BATCH + 100
    who = people(count)
    strata = np.random.default_rng(1).integers(0, 3, count) * 1_000_003
    arm = allocate(STRATIFIED, seed=4, **who, strata=strata)
    for batch in range(3):
        for code in np.unique(strata):
            chosen = (who["subject"] // BATCH == batch) & (strata == code)
            here = arm[chosen]
            whole = here[: here.size // 6 * 6].reshape(-1, 6)
            assert whole.size
            assert (whole.sum(axis=1) == 4).all()


def test_batches_may_come_alone_or_together():
    count = 2 * BATCH
    who = people(count)
    strata = np.random.default_rng(2).integers(0, 2, count)
    whole = allocate(STRATIFIED, seed=4, **who, strata=strata)
    half = slice(BATCH, count)
    alone = allocate(
        STRATIFIED,
        seed=4,
        replicate=who["replicate"][half],
        subject=who["subject"][half],
        strata=strata[half],
    )
    assert (whole[half] == alone).all()


def test_strata_do_not_share_their_blocks():
    subject = np.arange(1200)
    strata = subject % 2
    arm = allocate(
        STRATIFIED, seed=8, replicate=0 * subject, subject=subject, strata=strata
    )
    assert (arm[strata == 0] != arm[strata == 1]).any()


def test_strata_must_be_given():
    with pytest.raises(ValueError, match="strata"):
        allocate(STRATIFIED, seed=1, **people(10))


def test_nobody_is_allocated_to_nothing():
    nobody = np.zeros(0, int)
    for allocation in (SIMPLE, BLOCKED):
        assert allocate(allocation, seed=1, replicate=nobody, subject=nobody).size == 0


def test_numbers_by_arm_are_met_in_every_replicate():
    exact = Allocation((7, 30, 5), "counts", 42)
    arm = allocate(exact, seed=3, **people(42, 50)).reshape(50, 42)
    counts = np.stack([(arm == index).sum(axis=1) for index in range(3)], axis=1)
    assert (counts == [7, 30, 5]).all()
    assert len({tuple(row) for row in arm}) == 50
    # The first place holds arm 1 in 30 of 42 replicates.
    assert (
        abs((arm[:, 0] == 1).sum() - 50 * 30 / 42) < 4.9 * math.sqrt(50 * 30 * 12) / 42
    )
