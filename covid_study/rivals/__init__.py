"""Other people's methods in the papers' tables.

Read `xdnn`, then `feature_classifiers` (AdaBoost, a decision tree and xDNN on features that nothing here has trained).
"""
