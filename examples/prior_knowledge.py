"""
Prior knowledge alone
=====================

Prior knowledge only: no data to validate on, or no time to do so.
"""

from sklearn.datasets import load_wine

import regadvisor

# Nothing but what you know about the features: the kind is advised, its strength is unknown.
known = regadvisor.advise_without_data(correlated=False, whole_picture=False)
print(known)

# With data but no budget: the features are measured, no candidate is trained, strengths are defaults.
X, y = load_wine(return_X_y=True, as_frame=True)
measured = regadvisor.advise(X, y, budget=0)
print(measured)
for step in measured.path:
    print(f"{step.question:4} {step.reply:7} {step.answer.because}")
