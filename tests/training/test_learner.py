"The learner: half precision where it is native, and the encoder's last stages"
import platform
from functools import partial
from pathlib import Path
import pytest, torch
from colorized.model.encoder import load_pretrained
from colorized.model.unet import has_native_bf16
from colorized.model.checkpoint import load_checkpoint
from colorized.training import learner
from training_helpers import crops, go, same_weights, state_of

@pytest.mark.slow
def test_bfloat16_only_where_it_is_native(tmp_path, monkeypatch):
    "PyTorch imitates bfloat16 where there is none, many times slower than float32"
    info,cpu = Path('/proc/cpuinfo'),torch.device('cpu')
    if info.exists() and platform.machine()=='x86_64':
        flags = set(info.read_text().split())
        assert 'avx512_bf16' not in flags or has_native_bf16(cpu)
        assert flags & {'avx512bw', 'avx_ne_convert'} or not has_native_bf16(cpu)
    t4 = lambda including_emulation=True: including_emulation
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', t4)
    assert not has_native_bf16(torch.device('cuda'))
    data = crops(tmp_path/'photos', 8)
    for native in (False, True):
        monkeypatch.setattr(learner, 'has_native_bf16', lambda device: native)
        learn = go(data, tmp_path/f'{native}', photos=8, bs=8, bf16=True)
        assert hasattr(learn, 'bf16')==native

def changed_parts(encoder, before, dtype):
    "Which parts of the encoder have learned"
    part = lambda k: k.split('.')[1] if k.startswith('stages') else k.split('.')[0]
    changed = {part(k): False for k in before}
    for k,v in encoder.state_dict().items():
        changed[part(k)] |= not torch.equal(v.float(), before[k].to(dtype).float())
    return changed

@pytest.mark.slow
def test_the_encoders_last_stages_learn(tmp_path):
    """`tune`: strides 16 and 32 move, at a tenth of the rate, in the average and in the checkpoint

    What lies before does not; a run goes on."""
    data = crops(tmp_path/'photos', 16)
    tuned = partial(go, data, bs=8, lr=2e-3, decay=0.5, tune=0.1, run_args=dict(warmup=1, decay=0))
    learn,before = tuned(tmp_path/'run', photos=32),load_pretrained().state_dict()
    assert [o['lr'] for o in learn.opt.hypers]==pytest.approx([2e-4, 2e-3])
    saved = load_checkpoint(tmp_path/'run/model.safetensors')[0]
    for net,dtype in ((learn.model,torch.float32), (learn.ema.net,torch.float32),
                      (saved,torch.float16)):
        assert changed_parts(net.encoder, before, dtype)=={
            'stem': False, '0': False, '1': False, '2': False,
            '3': True, '4': True, '5': True, '6': True}
    tuned(tmp_path/'run', photos=48, resume=True)
    whole = tuned(tmp_path/'whole', photos=48).model.state_dict()
    assert same_weights(whole, state_of(tmp_path/'run')['model'])
