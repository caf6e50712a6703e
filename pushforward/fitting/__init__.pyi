from pushforward.fitting.controls import Controls as Controls
from pushforward.fitting.em import EM as EM
from pushforward.fitting.trackers import TensorBoard as TensorBoard
from pushforward.fitting.trackers import WandB as WandB
from pushforward.fitting.trainer import Trainer as Trainer
