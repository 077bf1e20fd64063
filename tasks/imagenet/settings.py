"""Settings of crops and colour changes, a part of the recipe (standard library only)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tasks.recipe import LATER, require


@dataclass(frozen=True)
class Augmentation:
    """Preprocessing of pictures for training and testing.

    Attributes:
        crop: side of a training crop after resizing, pixels.
        area: smallest and largest share of the picture's area that a training crop covers (from Szegedy et al. 2015).
        ratio: smallest and largest width / height of a training crop before it is resized to a square.
        flip: whether training pictures are mirrored with probability 1/2.
        jitter: a number v; factors of brightness, contrast and saturation are in [1 - v, 1 + v] (fb.resnet.torch: 0.4).
        lighting: standard deviation of AlexNet's noise along the principal components of colour (fb.resnet.torch: 0.1).
        test_resize: short side of a test picture before the centre crop, pixels.
        test_crop: side of the centre crop, pixels.
        label_noise: share of the training pictures with a wrong class, drawn anew for every seed.
        resize: the bilinear filter with antialiasing for training crops: Pillow's, or torch's on integers, which takes a fifth of
            the time (`tasks.imagenet.transforms.augment` describes the difference).
        trained: share of the training pictures of every class that is used for training.
        probes: share of them that is set aside for probes, which choose learning rates and lengths before the first trial of a row.
        test_unused: whether training pictures in neither share are added to the test set.
        probing: whether the pictures set aside for probes replace the test set.
        mean, std: mean and standard deviation of each channel (RGB in [0, 1]) for normalisation; by default ImageNet's, from
            fb.resnet.torch.
    """

    crop: int
    test_resize: int
    test_crop: int
    area: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = True
    jitter: float = 0.0
    lighting: float = 0.0
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    label_noise: float = field(default=0.0, metadata={LATER: True})
    resize: Literal["pillow", "torch"] = field(default="pillow", metadata={LATER: True})
    trained: float = field(default=1.0, metadata={LATER: True})
    probes: float = field(default=0.0, metadata={LATER: True})
    test_unused: bool = field(default=False, metadata={LATER: True})
    probing: bool = field(default=False, metadata={LATER: True})

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: names the setting and its value.
        """
        require(
            self,
            crop=(self.crop >= 1, "at least 1 pixel"),
            test_crop=(1 <= self.test_crop <= self.test_resize, f"1 to test_resize={self.test_resize} pixels"),
            area=(0 < self.area[0] <= self.area[1] <= 1, "0 < smallest <= largest <= 1"),
            ratio=(0 < self.ratio[0] <= self.ratio[1], "0 < smallest <= largest"),
            jitter=(0 <= self.jitter <= 1, "a strength in [0, 1]"),
            lighting=(self.lighting >= 0, "a standard deviation, not negative"),
            label_noise=(0 <= self.label_noise <= 1, "a share in [0, 1]"),
            trained=(
                0 < self.trained <= 1 - self.probes,
                f"a share above 0; with probes={self.probes}, at most 1 together",
            ),
            probes=(self.probes >= 0, "a share, not negative"),
            probing=(bool(self.probes) or not self.probing, "False: no pictures are set aside for probes"),
            std=(all(value > 0 for value in self.std), "a positive number for every channel"),
        )
