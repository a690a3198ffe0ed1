"""Names of findings, rows, columns and scores in words, and numbers as a reader wants them: once for the whole package."""

from collections.abc import Mapping, Sequence
from math import isnan

VERDICTS = ("holds", "fails", "no effect", "open")
BY_PATIENT = "_patient"  # the ending of `scores.slices.PATIENT`, which would take seconds to import
FINDINGS = {"covid": "COVID-19", "cap": "CAP", "non_pneumonia": "Non-pneumonia", "other": "Other or unknown"}
COLUMN_HEADS = FINDINGS | {
    "all": "ALL",
    "none": "No strategy",
    "ohem": "OHEM",
    "focal": "Focal loss",
    "slices": "Test slices",
    "slices_of_exam": "Slices",
    "baseline": "Baseline",
    "dsn": "DSN",
    "dsn_saal": "DSN-SAAL",
    "self_trans": "Self-Trans",
    "transfer_chexnet": "Transfer-CheXNet",
    "meta_weight_net": "Meta-Weight-Net",
    "ce": "CE",
    "class_balanced": "Class-balanced loss",
    "sce": "SCE",
    "saal": "SAAL",
    "saal_no_reverse": "SAAL, beta 0",
    "dsn_saal_one_beta": "DSN-SAAL, one beta",
    "inverse_frequency": "CE by 1 / frequency",
    "imagenet": "ImageNet weights",
    "random_weights": "Random weights",
    "vgg16_bn": "VGG-16",
    "resnet50": "ResNet-50",
    "densenet169": "DenseNet-169",
    "densenet121": "DenseNet-121",
    "mobilenet_v2": "MobileNet-V2",
    "resnext50_32x4d": "ResNeXt-50",
    "alexnet": "AlexNet",
    "googlenet": "GoogLeNet",
    "efficientnet_lite0": "EfficientNet-Lite0",
    "thin_resnet": "Thin ResNet-18",
    "resnet": "ResNet",
    "adaboost": "AdaBoost",
    "decision_tree": "Decision tree",
    "xdnn": "xDNN",
    "all_ce": "All negatives, CE",
    "random_ce": "Random, CE",
    "dual_track_ce": "Dual-track, CE",
    "all_saal": "All negatives, SAAL",
    "random_saal": "Random, SAAL",
    "dual_track_saal": "Dual-track, SAAL",
}
METRIC_HEADS = {
    "precision": "Prec.",
    "recall": "Recall",
    "f1": "F1",
    "auc": "AUC",
    "auc_within": "AUC within centres",
    "auc_lost": "AUC lost between centres",
    "average_precision": "Av. prec.",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "gap": "Prec. and recall apart by",
    "hours": "Training",
    "hours_to_auc": "Time to the same AUC",
    "count": "Exams",
    "range": "Range",
    "precision_validation": "Prec.*",
    "recall_validation": "Recall*",
    "f1_validation": "F1*",
    "acc": "ACC",
    "gmean": "G-mean",
    "sen": "SEN",
    "sen_fall": "Change of SEN",
    "spe": "SPE",
    "pre": "PRE",
    "params": "Parameters",
    "cases": "Cases",
    "images": "Slices",
    "in_lungs": "Share of the map on the lungs",
    "in_lesions": "Share of the map on lesions",
    "pointing": "Maximum on a lesion",
}
COUNTS = ("count", "low", "high", "cases", "images", "params")  # metrics that are no scores


def finding_name(finding: str) -> str:
    """A finding in words; those of image folders as their folder is called.

    >>> finding_name("covid"), finding_name("non_covid"), finding_name("CP")
    ('COVID-19', 'Not COVID-19', 'CP')
    """
    return FINDINGS.get(finding, "Not COVID-19" if finding == "non_covid" else finding)


def column_head(column: str) -> str:
    """The heading of a column, or the name of a row that a paper does not name.

    >>> column_head("56%"), column_head("all"), column_head("hu_histogram")
    ('56 %', 'ALL', 'Hu histogram')
    """
    if column in COLUMN_HEADS:
        return COLUMN_HEADS[column]
    return column.replace("%", " %") if column.endswith("%") else column.replace("_", " ").capitalize()


def metric_head(metric: str) -> str:
    """The heading of a score; the star is for the threshold from the validation split.

    >>> metric_head("f1_validation"), metric_head("gmean_patient"), metric_head("sen_cap")
    ('F1*', 'G-mean by patient', 'SEN CAP')
    """
    if metric.endswith(BY_PATIENT):
        return f"{metric_head(metric.removesuffix(BY_PATIENT))} by patient"
    score, _, finding = metric.partition("_")
    if score in ("sen", "pre") and finding in COLUMN_HEADS:
        return f"{METRIC_HEADS[score]} {COLUMN_HEADS[finding]}"
    return METRIC_HEADS.get(metric, metric.replace("_", " "))


def period(hours: float) -> str:
    """A training period in the unit that suits it.

    >>> [period(h) for h in (19.6, 0.75, 0.01, 0.0005, float("nan"))]
    ['19.6 h', '45 min', '36 s', '1.8 s', 'unknown']
    """
    if isnan(hours):
        return "unknown"
    seconds = 3600 * hours
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 60:.0f} min" if hours < 1 else f"{hours:.1f} h"


def percent(share: float) -> str:
    """A share in per cent, with a digit more where it is small.

    >>> percent(0.7), percent(0.015), percent(0.01), percent(float("nan"))
    ('70 %', '1.5 %', '1 %', 'unknown')
    """
    if isnan(share):
        return "unknown"
    value = 100 * share
    return f"{value:.1f} %".replace(".0 %", " %") if value < 10 else f"{value:.0f} %"


def with_interval(row: Mapping[str, float]) -> str:
    """A `value` and its 95 % interval, `low` to `high`.

    >>> with_interval({"value": 0.5, "low": 0.43, "high": 0.57}), with_interval({"value": -0.001, "low": float("nan")})
    ('0.50 (0.43 to 0.57)', '0.00')
    """
    value, low = (f"{row[key]:.2f}".replace("-0.00", "0.00") for key in ("value", "low"))
    if isnan(row["value"]):
        return "unknown"
    return value if isnan(row["low"]) else f"{value} ({low} to {row['high']:.2f})".replace("-0.00", "0.00")


def listed(things: Sequence[str], last: str = "and") -> str:
    """Things in a sentence.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return f" {last} ".join(filter(None, [", ".join(things[:-1]), *things[-1:]]))


def counted(number: int, of: str) -> str:
    """A number of things.

    >>> counted(1, "exam"), counted(1200, "exam")
    ('1 exam', '1,200 exams')
    """
    return f"{number:,} {of}{'' if number == 1 else 's'}"


def value_text(metric: str, value: float | None, digits: int = 1, decimals: float | None = None) -> str:
    """A value for a cell: a score in per cent, or as a fraction with `decimals`; counts and times in their own form.

    >>> value_text("f1", 0.7012), value_text("f1", 0.7012, decimals=3), value_text("params", 23_591_234)
    ('70.1', '0.701', '23.59 M')
    """
    if value is None or isnan(value):
        return ""
    if metric == "hours":
        return period(value)
    if metric == "params":
        return f"{value / 1e6:.2f} M"
    if metric in COUNTS:
        return f"{value:,g}" if value < 1e6 else f"{value:,.0f}"
    if decimals is not None and not isnan(decimals):
        return f"{value:.{int(decimals)}f}"
    return f"{100 * value:.{digits}f}"


def sharing(others: float) -> list[str]:
    """How trainings shared the machine, a sentence, or none where each had it for itself. others: of `claims.alike`.

    >>> sharing(1.0), sharing(0.0)
    (['Times are of trainings beside 1 other on this machine.'], [])
    """
    if isnan(others):
        return [
            "Times are of trainings that shared this machine unevenly: FLOPs and exams seen compare better."
        ]
    return (
        [f"Times are of trainings beside {counted(int(others), 'other')} on this machine."] if others else []
    )
