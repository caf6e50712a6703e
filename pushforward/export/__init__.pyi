from pushforward.export.html_page import ExportedPage as ExportedPage
from pushforward.export.html_page import write_page as write_page
from pushforward.export.onnx_files import ExportedGraph as ExportedGraph
from pushforward.export.onnx_files import write_onnx as write_onnx
