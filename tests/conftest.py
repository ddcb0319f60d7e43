import signal
import pytest, torch
from colorized.model.checkpoint import ModelConfig, save_checkpoint
from colorized.model.unet import ColorNet, UNetConfig

# What a test starts must be able to be stopped, also where the tests run behind `nohup` or `&`
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, 'SIGHUP'):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

@pytest.fixture(scope='session')
def model(tmp_path_factory):
    "Checkpoint of a tiny network, for tests that care about files and not about colours"
    torch.set_num_threads(1)
    torch.manual_seed(0)
    cfg = UNetConfig(widths=(32,), attention=(False,), encoder=None)
    net = ColorNet(cfg)
    for p in net.parameters(): # a network that was never trained answers 0
        if not p.any():
            torch.nn.init.normal_(p, std=0.05)
    path = tmp_path_factory.mktemp('model')/'tiny.safetensors'
    save_checkpoint(path, net, ModelConfig(cfg))
    return path
