"""Several processes that compute one gradient together (torchrun, gloo or nccl)."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

PATIENCE = datetime.timedelta(hours=12)  # with the first process, which makes all neighbour lists


@dataclass(frozen=True)
class Processes:
    """This process among those of the run."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and talks to the user."""
        return self.rank == 0

    def add(self, values: Tensor) -> Tensor:
        """The sum over all processes, on each of them."""
        if self.count > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its sum over all processes, in one message.

        One that is missing, as that of a bias is without energies, becomes 0 in any case: optimizers
        leave parameters without gradients alone.
        """
        trained = [p for p in parameters if p.requires_grad]
        for parameter in trained:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        if self.count == 1:
            return
        flat = torch.cat([parameter.grad.flatten() for parameter in trained])
        dist.all_reduce(flat)
        for parameter, grad in zip(trained, flat.split([p.numel() for p in trained])):
            parameter.grad.copy_(grad.view_as(parameter))

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            dist.barrier()

    def let_the_first(self, work: Callable[[], object]) -> None:
        """The first process does ``work`` while the others wait. Its error ends all of them."""
        error = None
        if self.is_first:
            try:
                work()
            except Exception as found:
                error = found
        if self.count > 1:
            done = [error is None]
            dist.broadcast_object_list(done, src=0)
            if not done[0] and not self.is_first:
                raise SystemExit(1)  # the first one says why
        if error:
            raise error


def join_processes(device: str) -> Processes:
    """Meet the other processes if torchrun has started several."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Processes()
    # Torch imports this by and by, and defaults of its functions keep the group that there is by then:
    # threads of gloo would outlive the run, and now and then abort the process where Python ends.
    import torch.distributed.nn  # noqa: F401

    if device.startswith("cuda"):
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=PATIENCE)
    return Processes(dist.get_rank(), dist.get_world_size())


def leave_processes(processes: Processes) -> None:
    """End of the run."""
    if processes.count > 1:
        dist.destroy_process_group()
