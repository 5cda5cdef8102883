"""How a cluster names experiments and what is made for them: the operator writes these, the command line reads them."""

from typing import Final

from ticketsmith.experiment.base import API_VERSION

GROUP, VERSION = API_VERSION.split("/")
PLURAL: Final = "pruningexperiments"

EXPERIMENT_LABEL: Final = f"{GROUP}/experiment"
"""Name of the experiment. What carries this label is watched."""
UID_LABEL: Final = f"{GROUP}/experiment-uid"
"""Its uid: a namesake that was deleted and made again is another experiment."""
ROUND_LABEL: Final = f"{GROUP}/round"
ATTEMPT_LABEL: Final = f"{GROUP}/attempt"
CONTAINER: Final = "round"
"""Name of the container whose log is the round's, and whose termination message is the answer."""
