"""Every number that decides something, with its source, by what it decides.

Numbers that only set a size or a speed live where they are used; a number that can change a reply, an
outcome or a warning lives here, and is read as ``thresholds.NAME``.
"""

from regadvisor.thresholds.comparisons import *
from regadvisor.thresholds.data import *
from regadvisor.thresholds.features import *
from regadvisor.thresholds.full_size import *
from regadvisor.thresholds.models import *
from regadvisor.thresholds.plans import *
from regadvisor.thresholds.sample import *
from regadvisor.thresholds.traps import *
