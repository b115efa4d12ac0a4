"""Training batches: pictures of some people, each picture changed a little every time."""

import torch
from torch import Tensor
from torchvision.transforms import v2


def draw_batch(labels: Tensor, people: int, pictures: int, generator: torch.Generator) -> Tensor:
    """Rows of P people x K pictures, (P * K,): every anchor has positives and negatives.

    P is the number of people in labels (N,) if there are fewer; someone with fewer than K
    pictures is shown repeatedly. Hermans et al. (2017), section 2.
    """
    everyone = torch.unique(labels)
    chosen = everyone[torch.randperm(len(everyone), generator=generator)[:people]]
    rows = []
    for person in chosen:
        own = (labels == person).nonzero().flatten()
        order = own[torch.randperm(len(own), generator=generator)]
        rows.append(order.repeat(-(-pictures // len(own)))[:pictures])
    return torch.cat(rows)


def make_augmentation(side: int) -> v2.Transform:
    """Flips, shifts, scales, lights and tilts one face, (channels, side, side) in [0, 1].

    The border is repeated outwards first: with black corners, which no face in use has, strangers
    are told apart much worse.
    """
    return v2.Compose(
        [
            v2.Pad(side // 4, padding_mode="edge"),
            v2.RandomHorizontalFlip(),
            v2.RandomAffine(
                degrees=10,
                translate=(0.04, 0.04),  # of the padded side
                scale=(0.9, 1.1),
                interpolation=v2.InterpolationMode.BILINEAR,
            ),
            v2.CenterCrop(side),
            v2.ColorJitter(brightness=0.3, contrast=0.3),
        ]
    )


def augment(faces: Tensor, seeds: Tensor, change: v2.Transform) -> Tensor:
    """(B, channels, side, side), a seed for each (B,) -> as large.

    What happens to a face depends on its seed alone, so it does not matter how a batch is split.
    """
    changed = []
    with torch.random.fork_rng(devices=[]):
        for face, seed in zip(faces, seeds.tolist(), strict=True):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed visits the GPUs too
            changed.append(change(face))
    return torch.stack(changed)
