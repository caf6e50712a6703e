from matplotlib.axes import Axes as Axes
from matplotlib.figure import Figure as Figure
