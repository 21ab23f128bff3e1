"""What scores say about accuracies.

One policy holds in every function, unless it says otherwise:
  - Columns are torch tensors, numpy arrays, pandas or polars Series, pyarrow arrays or sequences of numbers, [N] each.
  - Higher scores and higher accuracies are better, and signs are kept: scores that rank backwards have a negative
    correlation.
  - Rows with NaN (or null) in any column are left out. A score of -inf is a real lowest value.
  - Ties: correlations of ranks use average ranks (Spearman) or tau-b (Kendall). Where the k best-scored rows are taken,
    of equal scores the lower row counts as the better one; `regret` takes the mean over all orders of them instead. Of
    accuracies, all rows that equal the last of the top belong to it.
  - What too few rows leave undefined is NaN, or None for a number of trainings; never a number that stands for it.
"""

from zcfast.analysis.bootstrap import Interval, bootstrap
from zcfast.analysis.combine import az_nas, log_rank_sum, rank_sum
from zcfast.analysis.correlation import kendall, kendall_top, pearson, pearson_top, spearman, spearman_top
from zcfast.analysis.gain import ndcg
from zcfast.analysis.neighbourhood import LocalRanking, local_ranking
from zcfast.analysis.regret import Regret, regret
from zcfast.analysis.search_cost import (
    best_at_k,
    improvements,
    random_trainings_until,
    regret_at_k,
    trainings_until,
    trainings_until_best,
)
from zcfast.analysis.summary import summary
from zcfast.analysis.top import precision_at_k, top_fraction_in_top_k, top_fraction_overlap, top_k_overlap
from zcfast.analysis.vote import vote

__all__ = [
    "Interval",
    "LocalRanking",
    "Regret",
    "az_nas",
    "best_at_k",
    "bootstrap",
    "improvements",
    "kendall",
    "kendall_top",
    "local_ranking",
    "log_rank_sum",
    "ndcg",
    "pearson",
    "pearson_top",
    "precision_at_k",
    "random_trainings_until",
    "rank_sum",
    "regret",
    "regret_at_k",
    "spearman",
    "spearman_top",
    "summary",
    "top_fraction_in_top_k",
    "top_fraction_overlap",
    "top_k_overlap",
    "trainings_until",
    "trainings_until_best",
    "vote",
]
