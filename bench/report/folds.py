"""What of a board lies in folds on a page, in the order of the page."""

PAIRS = "Who can be told apart from whom"
COST = "Cost of each phase"
TRAINING = "Learning curves"
SCORES = "Scores"
CALIBRATION = "Calibration"
AUDITS = "Audits of the trained weights"
HEADS = "Heads of the memories"

FOLDS = (SCORES, PAIRS, TRAINING, COST, CALIBRATION, AUDITS, HEADS)
