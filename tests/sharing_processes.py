"""One of two processes that hold a 4-bit base together: python sharing_processes.py RANK PORT FOLDER.

A child of `test_sharded`. Memory runs out once in the second process, in the middle of its row. Prints, as JSON, how often both
had to begin again, the summed loss, the slopes, and the bytes of 4-bit codes that are here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from torch import Tensor
from torch import distributed as dist

from pipeline.training import adapted, guard, quantised, rows, sharded
from pipeline.training.decoder import Decoder
from pipeline.training.learner import Learner
from pipeline.training.together import World
from tests.test_packing import TICKETS

BREAKS_AT = 3


def main(rank: int, port: str, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=2, init_method=f"tcp://127.0.0.1:{port}")
    world, where = World(2, rank), torch.device("cpu")
    base = quantised.load_base(folder, torch.float32, where)
    gather = sharded.share(base, world, where)
    decoder = Decoder(quantised.add_adapter(base, 8, seed=1), torch.float32, hold=False, gather=gather)
    decoder.checkpointed = 1
    decoder.adapters.values.normal_(0, 0.05, generator=torch.Generator().manual_seed(2))
    decoder.adapters.refresh()
    guard.check(decoder, TICKETS)
    learner = Learner(decoder)
    parts = world.alike([rows.row(TICKETS[:2]), rows.row(TICKETS[2:3]), rows.row(TICKETS[3:])])
    if rank:
        break_once()
    again = 0
    while True:
        try:
            loss = learner.learn_together([part or rows.filler() for part in parts], 1, world)
            break
        except MemoryError:
            learner.forget_slopes()
            again += 1
    world.exchange(decoder.adapters.slopes, loss)
    here = sum(part.numel() for part in base.parameters() if part.dtype == torch.uint8)
    print(json.dumps({"again": again, "loss": float(loss), "slopes": decoder.adapters.slopes.tolist(), "bytes": here}))
    dist.destroy_process_group()


def break_once() -> None:
    """The third product of the first row does not find the memory it needs."""
    whole, calls = adapted.forward, [0]

    def forward(x: Tensor, group: adapted.Group, scratch: adapted.Scratch) -> Tensor:
        calls[0] += 1
        return torch.empty(10**15) if calls[0] == BREAKS_AT else whole(x, group, scratch)

    adapted.forward = forward


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
