"""
A step of a pipeline
====================

A pipeline step: advise inside fit, then train on everything.
"""

from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from regadvisor import AdvisedClassifier, AdvisedRegressor, RegularizationAdvisor

X, y = load_wine(return_X_y=True, as_frame=True)
print("accuracy:", cross_val_score(AdvisedClassifier(), X, y, cv=3).mean().round(3))

X, y = load_diabetes(return_X_y=True, as_frame=True)
degree = {"polynomialfeatures__degree": [1, 2]}
search = GridSearchCV(make_pipeline(PolynomialFeatures(), AdvisedRegressor()), degree, cv=3).fit(X, y)
print("degree:", search.best_params_["polynomialfeatures__degree"], "R²:", round(search.best_score_, 3))
print(search.best_estimator_[-1].advice_)

# Or let the advice only watch: the data pass through unchanged.
watched = make_pipeline(RegularizationAdvisor(), Ridge()).fit(X, y)
print(watched[0].advice_.regularizer)
