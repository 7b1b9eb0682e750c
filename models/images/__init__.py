"""Networks that look at images, in the order of their years."""
from .alexnet import AlexNet
from .googlenet import GoogLeNet, inception, small_inception
from .lenet import LeNet
from .nin import NiN
from .resnet import ResNet, residual
from .vgg import VGG

__all__ = ["LeNet", "AlexNet", "NiN", "VGG", "GoogLeNet", "inception", "small_inception", "ResNet", "residual"]
