"""Evidence merges to the same bytes however a split was cut, and every gap in it is told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelchecks.errors import EvidenceError
from modelchecks.evidence import Evidence, merge_all
from modelchecks.totals import EXAMPLES, Rows, Totals, priorities

LIMIT = 7


def rows_of(numbers: Sequence[int], limit: int = LIMIT, variant: str | None = "a") -> Rows:
    """Return the sample of the rows with these positions in the split."""
    index = np.array(numbers, dtype=np.int64)
    columns: dict[str, Any] = {
        "index": index,
        "priority": priorities([f"row-{number}" for number in numbers], seed=3),
        "id": np.array([f"row-{number}" for number in numbers] + [None], dtype=object)[:-1],
        "feature:x": index * 0.1,
    }
    if variant is not None:
        columns[f"predicted:{variant}"] = index % 3
        columns[f"confidence:{variant}"] = (index / 100).astype(np.float32)
    return Rows(columns if numbers else {}, limit).bounded()


def totals_of(numbers: Sequence[int]) -> Totals:
    """Return totals such as a pass over these rows keeps."""
    counts: Counter[Any] = Counter({("rows",): len(numbers)})
    for number in numbers:
        counts["label", number % 3] += 1
        counts["shape", f"{number % 2}x1"] += 1
    span = {("value",): [float(number) for number in numbers]} if numbers else {}
    examples = {("odd",): tuple(sorted(f"row-{n}" for n in numbers if n % 2)[:EXAMPLES])}
    return Totals(
        dict(counts),
        {key: min(values) for key, values in span.items()},
        {key: max(values) for key, values in span.items()},
        {key: texts for key, texts in examples.items() if texts},
    )


def evidence_of(numbers: Sequence[int], failures: dict[str, str] | None = None) -> Evidence:
    return Evidence("live", totals_of(numbers), rows_of(numbers), failures or {}, {"made": "here"})


def written(evidence: Evidence) -> bytes:
    """Return the evidence as bytes: totals JSON, then every column of the rows."""
    rows = evidence.rows
    parts = [json.dumps(evidence.totals.to_json(), allow_nan=False).encode()]
    for name in sorted(rows.columns):
        column = rows.columns[name]
        said = repr(column.tolist()) if column.dtype == object else column.tobytes().hex()
        parts.append(f"{name}:{column.dtype}:{said}".encode())
    told = json.dumps([evidence.split, dict(sorted(evidence.failures.items())), rows.limit])
    return b"\n".join([*parts, told.encode()])


@st.composite
def cuts(draw: st.DrawFn) -> tuple[list[int], list[list[int]]]:
    """Return all rows of a split, and the same rows cut into shards in some order."""
    everything = list(range(draw(st.integers(1, 40))))
    owner = [draw(st.integers(0, 5)) for _ in everything]
    parts = [
        [row for row, part in zip(everything, owner, strict=True) if part == n] for n in range(6)
    ]
    return everything, draw(st.permutations(parts))


@given(cuts())
def test_the_evidence_is_the_same_bytes_however_the_split_was_cut(
    cut: tuple[list[int], list[list[int]]],
) -> None:
    everything, parts = cut
    whole = written(evidence_of(everything))
    assert written(merge_all([evidence_of(part) for part in parts])) == whole
    assert written(reduce(lambda left, right: right.merge(left), map(evidence_of, parts))) == whole


reasons = st.dictionaries(st.sampled_from("ab"), st.sampled_from(["broke", "burst"]), max_size=2)
parts_of_one = st.builds(
    lambda numbers, failures: evidence_of(sorted(numbers), failures),
    st.sets(st.integers(0, 30), max_size=12),
    reasons,
).map(lambda evidence: evidence.merge(Evidence("live", Totals(), Rows({}, LIMIT))))


@settings(max_examples=200)
@given(parts_of_one, parts_of_one, parts_of_one)
def test_merging_is_associative_and_commutative(a: Evidence, b: Evidence, c: Evidence) -> None:
    assert written(a.merge(b).merge(c)) == written(a.merge(b.merge(c)))
    assert written(a.merge(b)) == written(b.merge(a))


@given(st.sets(st.integers(0, 60), min_size=1), st.sets(st.integers(0, 60), min_size=1))
def test_a_row_that_was_seen_twice_counts_once_in_the_sample(a: set[int], b: set[int]) -> None:
    def sampled(rows: Rows) -> list[int]:
        return list(rows.columns["index"].tolist())

    one, other = rows_of(sorted(a)), rows_of(sorted(b))
    assert sampled(one.merge(one)) == sampled(one)
    assert sampled(one.merge(other).merge(other)) == sampled(one.merge(other))
    assert sampled(one.merge(other)) == sampled(rows_of(sorted(a | b)))
    assert len(one.merge(other)) == min(LIMIT, len(a | b))


@given(st.sets(st.integers(0, 500), min_size=20, max_size=200), st.integers(1, 30))
def test_the_sample_is_the_rows_of_smallest_priority(numbers: set[int], limit: int) -> None:
    ids = {number: f"row-{number}" for number in numbers}
    ranked = sorted(numbers, key=lambda n: (priorities([ids[n]], seed=3)[0], n))
    assert rows_of(sorted(numbers), limit).columns["index"].tolist() == ranked[:limit]


def test_priorities_depend_on_the_id_and_the_seed_alone() -> None:
    one = priorities(["a", "b", "é\ud800"], seed=1)
    assert one.dtype == np.uint64
    assert priorities(["b"], seed=1)[0] == one[1]
    assert len({*one.tolist(), *priorities(["a", "b"], seed=2).tolist()}) == 5
    assert len(priorities([], seed=1)) == 0


@given(st.sets(st.integers(0, 60)))
def test_totals_survive_json(numbers: set[int]) -> None:
    totals = totals_of(sorted(numbers))
    text = json.dumps(totals.to_json(), allow_nan=False)
    again = Totals.from_json(json.loads(text))
    assert again == totals
    assert json.dumps(again.to_json()) == text
    assert totals.merge(Totals()) == Totals().merge(totals) == totals


def test_shards_with_different_columns_do_not_merge() -> None:
    with pytest.raises(EvidenceError, match="different columns: confidence:a, predicted:a"):
        rows_of([1]).merge(rows_of([2], variant=None))
    with pytest.raises(EvidenceError, match="cannot merge evidence of 'live' and 'offline'"):
        evidence_of([1]).merge(Evidence("offline", Totals(), Rows({}, LIMIT)))
    with pytest.raises(EvidenceError, match="no shard was gathered"):
        merge_all([])


def test_a_variant_that_failed_in_one_shard_leaves_no_columns_from_any() -> None:
    failed = Evidence("live", totals_of([4, 5]), rows_of([4, 5], variant=None), {"a": "it broke"})
    fine = evidence_of([1, 2, 3])
    for merged in (fine.merge(failed), failed.merge(fine), merge_all([fine, failed, fine])):
        assert merged.failures == {"a": "it broke"}
        assert not [name for name in merged.rows.columns if name.endswith(":a")]
        assert set(merged.rows.columns["index"].tolist()) == {1, 2, 3, 4, 5}
        with pytest.raises(EvidenceError, match="it broke"):
            merged.predicted_counts("a")


# Accessors.


def judged(**changes: Any) -> Evidence:
    """Return sound evidence of 10 labelled rows and one variant, with some counts changed."""
    counts: dict[Any, int] = {
        ("rows",): 10,
        ("unreadable",): 0,
        ("label", 0): 6,
        ("label", 1): 4,
        ("answered", "a"): 10,
        ("predicted", "a", 0): 7,
        ("predicted", "a", 1): 3,
        ("confusion", "a", 0, 0): 6,
        ("confusion", "a", 1, 0): 1,
        ("confusion", "a", 1, 1): 3,
    }
    counts |= changes.get("counts", {})
    low, high = changes.get("outputs", (2.0, 2.0))
    return Evidence(
        "live",
        Totals(
            {key: count for key, count in counts.items() if count is not None},
            {("outputs", "a"): low},
            {("outputs", "a"): high},
            changes.get("examples", {}),
        ),
        rows_of([1, 2]),
        changes.get("failures", {}),
    )


def test_sound_evidence_answers() -> None:
    evidence = judged()
    assert (evidence.total, evidence.labelled) == (10, 10)
    assert evidence.label_counts() == {0: 6, 1: 4}
    assert evidence.predicted_counts("a") == {0: 7, 1: 3}
    assert evidence.confusion("a") == {(0, 0): 6, (1, 0): 1, (1, 1): 3}
    assert evidence.correct("a") == (9, 10)
    assert sorted(evidence.sample("feature:x").tolist()) == [0.1, 0.2]


def test_outputs_of_unknown_number_are_not_compared_with_the_labels() -> None:
    assert judged(outputs=(0.0, 0.0)).correct("a") == (9, 10)


Access = Callable[[Evidence], Any]
ANSWERS: list[Access] = [
    lambda evidence: evidence.predicted_counts("a"),
    lambda evidence: evidence.confusion("a"),
    lambda evidence: evidence.correct("a"),
]
JUDGED = ANSWERS[1:]
LABELS: list[Access] = [*JUDGED, Evidence.label_counts]
NO_ROWS = dict.fromkeys(judged().totals.counts, None) | {("answered", "a"): 0}
UNLABELLED = {key: None for key in judged().totals.counts if key[0] in ("label", "confusion")}


@pytest.mark.parametrize(
    ("changes", "accesses", "said"),
    [
        ({"counts": NO_ROWS}, ANSWERS, "split 'live' has no rows"),
        (
            {"counts": {("unreadable",): 2}, "examples": {("unreadable",): ("r1: cut", "r2: cut")}},
            [*ANSWERS, lambda evidence: evidence.sample("feature:x")],
            "split 'live': 2 of 10 images cannot be read: r1: cut; r2: cut. Repair or remove",
        ),
        (
            {"counts": {("nonfinite", "a"): 1}, "examples": {("nonfinite", "a"): ("row-4",)}},
            ANSWERS,
            "variant 'a' on split 'live': 1 of 10 answers are NaN, infinite or missing (rows row",
        ),
        ({"counts": {("answered", "a"): 9}}, ANSWERS, "'a' answered 9 of 10 rows of 'live'"),
        ({"counts": {("answered", "a"): 11}}, ANSWERS, "'a' answered 11 of 10 rows of 'live'"),
        (
            {"counts": {("answered", "a"): None}},
            ANSWERS,
            "variant 'a' has no predictions on split 'live' in this evidence",
        ),
        ({"failures": {"a": "weights a.pt do not exist"}}, ANSWERS, "weights a.pt do not exist"),
        ({"counts": UNLABELLED}, LABELS, "split 'live' has no labelled row. Add labels, or name"),
        (
            {"counts": {("confusion", "a", 1, 1): 2}},
            JUDGED,
            "variant 'a' on split 'live': 9 judged rows but 10 labels; the evidence is damaged",
        ),
        (
            {"counts": {("label", 1): 3, ("label", 7): 1, ("confusion", "a", 1, 0): 0,
                        ("confusion", "a", 7, 0): 1}},
            JUDGED,
            "split 'live' has labels [7] but variant 'a' has 2 outputs (0 to 1)",
        ),
        (
            {"outputs": (2.0, 3.0)},
            JUDGED,
            "variant 'a' on split 'live' has a different number of outputs in different rows",
        ),
        (
            {},
            [lambda evidence: evidence.sample("feature:y")],
            "split 'live' has no column 'feature:y' in its evidence; it has confidence:a, ",
        ),
    ],
)  # fmt: skip
def test_a_gap_is_told_by_every_accessor_that_would_build_on_it(
    changes: dict[str, Any], accesses: list[Access], said: str
) -> None:
    evidence = judged(**changes)
    for access in accesses:
        with pytest.raises(EvidenceError) as raised:
            access(evidence)
        assert str(raised.value).startswith(said) or said in str(raised.value)


@given(st.sampled_from(sorted(judged().totals.counts, key=repr)), st.integers(0, 20))
def test_no_single_wrong_count_of_answers_or_labels_goes_unseen(key: Any, count: int) -> None:
    sound = judged().totals.counts
    evidence = judged(counts={key: count})
    relied_on = key[0] in ("rows", "label", "answered", "confusion", "unreadable")
    if count == sound[key] or not relied_on:
        assert evidence.correct("a") == (9, 10)
    else:
        with pytest.raises(EvidenceError):
            evidence.correct("a")
