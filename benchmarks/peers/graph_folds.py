"""Ten folds of a support vector machine by scikit-learn, as GraphMAE's evaluation has them; peer of `pnpm bench graph --peer`.

Usage: python graph_folds.py FEATURES LABELS: little-endian float32 rows and int32. Writes the mean accuracy.
"""
import sys

import numpy as np
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.svm import SVC

labels = np.fromfile(sys.argv[2], dtype="<i4")
features = np.fromfile(sys.argv[1], dtype="<f4").reshape(len(labels), -1)
scores = []
for train, test in StratifiedKFold(n_splits=10, shuffle=True, random_state=0).split(features, labels):
    search = GridSearchCV(SVC(random_state=42), {"C": [1e-3, 1e-2, 1e-1, 1, 10]}).fit(features[train], labels[train])
    scores.append(search.score(features[test], labels[test]))
print(np.mean(scores))
