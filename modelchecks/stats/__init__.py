"""Statistics in pure numpy and scipy: arrays and counts in, estimates out; no thresholds, no I/O.

Importing this package loads numpy alone; scipy is loaded by the functions that need it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelchecks.stats.attribution import DropAttribution as DropAttribution
    from modelchecks.stats.attribution import drop_attribution as drop_attribution
    from modelchecks.stats.bbse import LabelShift as LabelShift
    from modelchecks.stats.bbse import label_shift as label_shift
    from modelchecks.stats.best import best_set as best_set
    from modelchecks.stats.best import best_set_of_counts as best_set_of_counts
    from modelchecks.stats.bootstrap import bootstrap_metric as bootstrap_metric
    from modelchecks.stats.calibration import CalibrationEstimate as CalibrationEstimate
    from modelchecks.stats.calibration import ReliabilityBin as ReliabilityBin
    from modelchecks.stats.calibration import calibration_error as calibration_error
    from modelchecks.stats.calibration import calibration_errors as calibration_errors
    from modelchecks.stats.calibration import classwise_error as classwise_error
    from modelchecks.stats.calibration import confidence_gap as confidence_gap
    from modelchecks.stats.calibration import debiased_l2 as debiased_l2
    from modelchecks.stats.calibration import reliability as reliability
    from modelchecks.stats.checkpoints import CheckpointAgreement as CheckpointAgreement
    from modelchecks.stats.checkpoints import checkpoint_agreement as checkpoint_agreement
    from modelchecks.stats.checkpoints import optimism as optimism
    from modelchecks.stats.checkpoints import within_noise as within_noise
    from modelchecks.stats.confusion import confusion_metric as confusion_metric
    from modelchecks.stats.difference import metric_drop as metric_drop
    from modelchecks.stats.difference import relative_drop as relative_drop
    from modelchecks.stats.distance import kolmogorov as kolmogorov
    from modelchecks.stats.distance import kuiper as kuiper
    from modelchecks.stats.distance import total_variation as total_variation
    from modelchecks.stats.distance_power import margin_in_reach as margin_in_reach
    from modelchecks.stats.distance_power import rows_needed as rows_needed
    from modelchecks.stats.distance_power import rows_to_decide as rows_to_decide
    from modelchecks.stats.domain import DomainAuc as DomainAuc
    from modelchecks.stats.domain import domain_auc as domain_auc
    from modelchecks.stats.drift import FeatureDistance as FeatureDistance
    from modelchecks.stats.drift import feature_distance as feature_distance
    from modelchecks.stats.drift import permutation_p_value as permutation_p_value
    from modelchecks.stats.effects import jensen_shannon as jensen_shannon
    from modelchecks.stats.effects import population_stability as population_stability
    from modelchecks.stats.effects import scaled_wasserstein as scaled_wasserstein
    from modelchecks.stats.estimate import Estimate as Estimate
    from modelchecks.stats.estimate import TooFewRowsError as TooFewRowsError
    from modelchecks.stats.estimate import decide as decide
    from modelchecks.stats.estimate import decide_at_least as decide_at_least
    from modelchecks.stats.few_labels import SamplingPlan as SamplingPlan
    from modelchecks.stats.few_labels import few_label_accuracy as few_label_accuracy
    from modelchecks.stats.few_labels import sampling_plan as sampling_plan
    from modelchecks.stats.few_labels import stratified_accuracy as stratified_accuracy
    from modelchecks.stats.harm import HarmfulShift as HarmfulShift
    from modelchecks.stats.harm import harmful_shift as harmful_shift
    from modelchecks.stats.interval import clopper_pearson as clopper_pearson
    from modelchecks.stats.interval import drop_p_value as drop_p_value
    from modelchecks.stats.interval import newcombe as newcombe
    from modelchecks.stats.interval import proportion as proportion
    from modelchecks.stats.interval import proportion_drop as proportion_drop
    from modelchecks.stats.interval import wilson as wilson
    from modelchecks.stats.kernel import KernelTest as KernelTest
    from modelchecks.stats.kernel import kernel_two_sample as kernel_two_sample
    from modelchecks.stats.label_free import LabelFree as LabelFree
    from modelchecks.stats.label_free import label_free_accuracy as label_free_accuracy
    from modelchecks.stats.label_free import label_free_guesses as label_free_guesses
    from modelchecks.stats.margins import ProposedMargin as ProposedMargin
    from modelchecks.stats.margins import propose_margins as propose_margins
    from modelchecks.stats.mean import bounded_mean as bounded_mean
    from modelchecks.stats.mean import clustered_proportion as clustered_proportion
    from modelchecks.stats.mean import unbounded_mean as unbounded_mean
    from modelchecks.stats.mean import weighted_proportion as weighted_proportion
    from modelchecks.stats.metrics import LOWER_IS_BETTER as LOWER_IS_BETTER
    from modelchecks.stats.metrics import MEANS as MEANS
    from modelchecks.stats.metrics import METRICS as METRICS
    from modelchecks.stats.metrics import metric as metric
    from modelchecks.stats.multiplicity import benjamini_hochberg as benjamini_hochberg
    from modelchecks.stats.multiplicity import holm as holm
    from modelchecks.stats.order import quantile as quantile
    from modelchecks.stats.order import tail_index as tail_index
    from modelchecks.stats.paired import PairedEstimate as PairedEstimate
    from modelchecks.stats.paired import paired_gain as paired_gain
    from modelchecks.stats.power import (
        drop_operating_characteristics as drop_operating_characteristics,
    )
    from modelchecks.stats.power import labels_needed as labels_needed
    from modelchecks.stats.power import labels_needed_floor as labels_needed_floor
    from modelchecks.stats.power import paired_labels_needed as paired_labels_needed
    from modelchecks.stats.power import unpaired_labels_needed as unpaired_labels_needed
    from modelchecks.stats.precision import rows_to_settle as rows_to_settle
    from modelchecks.stats.ranking import accuracy_line as accuracy_line
    from modelchecks.stats.ranking import rank_agreement as rank_agreement
    from modelchecks.stats.reuse import alpha_spending as alpha_spending
    from modelchecks.stats.reuse import alpha_spent as alpha_spent
    from modelchecks.stats.reuse import best_of_drop as best_of_drop
    from modelchecks.stats.reuse import best_of_optimism as best_of_optimism
    from modelchecks.stats.robust import relative_loss as relative_loss
    from modelchecks.stats.roc import auroc as auroc
    from modelchecks.stats.sequential import Canary as Canary
    from modelchecks.stats.sequential import canary as canary
    from modelchecks.stats.slices import worst_group as worst_group
    from modelchecks.stats.spread import gain_over_spread as gain_over_spread
    from modelchecks.stats.spread import run_spread as run_spread
    from modelchecks.stats.spread import runs_needed as runs_needed
    from modelchecks.stats.temperature import fit_temperature as fit_temperature
    from modelchecks.stats.transfer import GainTransfer as GainTransfer
    from modelchecks.stats.transfer import gain_transfer as gain_transfer
    from modelchecks.stats.transfer import proportion_gain as proportion_gain
    from modelchecks.stats.windows import AccuracyWindows as AccuracyWindows
    from modelchecks.stats.windows import DriftWindows as DriftWindows
    from modelchecks.stats.windows import accuracy_windows as accuracy_windows
    from modelchecks.stats.windows import drift_windows as drift_windows

_HOME = {
    "AccuracyWindows": "windows",
    "CalibrationEstimate": "calibration",
    "Canary": "sequential",
    "CheckpointAgreement": "checkpoints",
    "DomainAuc": "domain",
    "DriftWindows": "windows",
    "DropAttribution": "attribution",
    "Estimate": "estimate",
    "FeatureDistance": "drift",
    "GainTransfer": "transfer",
    "HarmfulShift": "harm",
    "KernelTest": "kernel",
    "LOWER_IS_BETTER": "metrics",
    "LabelFree": "label_free",
    "LabelShift": "bbse",
    "MEANS": "metrics",
    "METRICS": "metrics",
    "PairedEstimate": "paired",
    "ProposedMargin": "margins",
    "ReliabilityBin": "calibration",
    "SamplingPlan": "few_labels",
    "TooFewRowsError": "estimate",
    "accuracy_line": "ranking",
    "accuracy_windows": "windows",
    "alpha_spending": "reuse",
    "alpha_spent": "reuse",
    "auroc": "roc",
    "benjamini_hochberg": "multiplicity",
    "best_of_drop": "reuse",
    "best_of_optimism": "reuse",
    "best_set": "best",
    "best_set_of_counts": "best",
    "bootstrap_metric": "bootstrap",
    "bounded_mean": "mean",
    "calibration_error": "calibration",
    "calibration_errors": "calibration",
    "canary": "sequential",
    "checkpoint_agreement": "checkpoints",
    "classwise_error": "calibration",
    "clopper_pearson": "interval",
    "clustered_proportion": "mean",
    "confidence_gap": "calibration",
    "confusion_metric": "confusion",
    "debiased_l2": "calibration",
    "decide": "estimate",
    "decide_at_least": "estimate",
    "domain_auc": "domain",
    "drift_windows": "windows",
    "drop_attribution": "attribution",
    "drop_operating_characteristics": "power",
    "drop_p_value": "interval",
    "feature_distance": "drift",
    "few_label_accuracy": "few_labels",
    "fit_temperature": "temperature",
    "gain_over_spread": "spread",
    "gain_transfer": "transfer",
    "harmful_shift": "harm",
    "holm": "multiplicity",
    "jensen_shannon": "effects",
    "kernel_two_sample": "kernel",
    "kolmogorov": "distance",
    "kuiper": "distance",
    "label_free_accuracy": "label_free",
    "label_free_guesses": "label_free",
    "label_shift": "bbse",
    "labels_needed": "power",
    "labels_needed_floor": "power",
    "margin_in_reach": "distance_power",
    "metric": "metrics",
    "metric_drop": "difference",
    "newcombe": "interval",
    "optimism": "checkpoints",
    "paired_gain": "paired",
    "paired_labels_needed": "power",
    "permutation_p_value": "drift",
    "population_stability": "effects",
    "proportion": "interval",
    "proportion_drop": "interval",
    "proportion_gain": "transfer",
    "propose_margins": "margins",
    "quantile": "order",
    "rank_agreement": "ranking",
    "relative_drop": "difference",
    "relative_loss": "robust",
    "reliability": "calibration",
    "rows_needed": "distance_power",
    "rows_to_decide": "distance_power",
    "rows_to_settle": "precision",
    "run_spread": "spread",
    "runs_needed": "spread",
    "sampling_plan": "few_labels",
    "scaled_wasserstein": "effects",
    "stratified_accuracy": "few_labels",
    "tail_index": "order",
    "total_variation": "distance",
    "unbounded_mean": "mean",
    "unpaired_labels_needed": "power",
    "weighted_proportion": "mean",
    "wilson": "interval",
    "within_noise": "checkpoints",
    "worst_group": "slices",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"modelchecks.stats.{_HOME[name]}"), name)
    raise AttributeError(f"module 'modelchecks.stats' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_HOME)
