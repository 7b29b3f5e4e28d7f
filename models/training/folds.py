"""Which sources are left out together."""

import numpy as np

from pictures import Pictures


def folds(pictures: Pictures, count: int) -> np.ndarray:
    """[N], the fold of each picture. Deals the sources out, the largest first, to whichever fold has fewest pictures
    of that kind, and of those to the smallest.

    A source is never in training and in validation at once: pictures of one source look alike.
    """
    first = next(iter(pictures.labels.values()))
    load: dict[tuple[int, int], int] = {}
    total = [0] * count
    where: dict[str, int] = {}
    sizes = {source: int((pictures.source == source).sum()) for source in sorted(set(pictures.source))}
    for source, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        labels = first[pictures.source == source]
        known = labels[labels >= 0]
        kind = int(np.bincount(known).argmax()) if len(known) else -1
        fold = min(range(count), key=lambda f: (load.get((kind, f), 0), total[f], f))
        load[kind, fold] = load.get((kind, fold), 0) + size
        total[fold] += size
        where[source] = fold
    return np.array([where[source] for source in pictures.source])
