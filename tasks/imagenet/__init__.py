"""ImageNet classification: GoogLeNet, VGG-16, ResNet-18 and ResNet-50."""
