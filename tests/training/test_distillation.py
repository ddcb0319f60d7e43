"The teacher's prediction against its formula, each network seeing with its own encoder"
from copy import deepcopy
import torch
from fastai.callback.core import Callback
from colorized.training.distillation import DistillationCallback, autoguided
from training_helpers import PLAIN, TINY, crops, go, random_net, state_of
from dataclasses import replace

def test_each_network_sees_with_its_own_encoder():
    strong,weak = random_net(TINY, 0),random_net(TINY, 1)
    with torch.no_grad(): # their encoders differ
        for p in weak.encoder.parameters(): p.mul_(1.1)
    L = torch.rand(2,1,64,64)*100
    hints = torch.randn(2,3,16,16)
    x_t,t = torch.randn(2,2,16,16),torch.tensor([3, 900])
    with torch.no_grad():
        a,b = [o(x_t, t, o.condition(L, hints)) for o in (strong, weak)]
        for cond in (strong.condition(L, hints), weak.condition(L, hints)): # whoever made it
            for scale in (0., 1., 1.5):
                found = autoguided(strong, weak, scale)(x_t, t, cond)
                torch.testing.assert_close(found, b+scale*(a-b), atol=1e-4, rtol=1e-4)
        assert (a-b).abs().mean()>0.05

class Targets(Callback):
    order,run_valid = DistillationCallback.order+1,True
    def __init__(self): self.seen = []
    def before_batch(self): self.seen.append((self.training, *self.xb, *self.yb))

def test_targets_of_training_are_the_teachers(tmp_path):
    "In every batch of training, with the weights as they were; validation keeps the truth"
    strong,weak = random_net(TINY, 0),random_net(TINY, 1)
    student = deepcopy(strong)
    data = crops(tmp_path/'photos', 8)
    recipe = replace(PLAIN, no_hints=0.5)
    plain,taught = Targets(), Targets()
    how = dict(photos=16, bs=4, recipe=recipe)
    go(data, tmp_path/'plain', net=deepcopy(strong), cbs=[plain], **how)
    teacher = DistillationCallback(strong, weak, 2., dict(strong='a', weak='b'))
    learn = go(data, tmp_path/'taught', net=student, cbs=[teacher, taught], **how)
    guided = autoguided(strong, weak, 2.)
    for (training,x_t,t,cond,target,weight),truth in zip(taught.seen, plain.seen, strict=True):
        assert torch.equal(x_t, truth[1]) and torch.equal(weight, truth[5]) # the same problems
        if training:
            with torch.no_grad(): torch.testing.assert_close(target, guided(x_t, t, cond))
        else:
            assert torch.equal(target, truth[4])
    assert state_of(tmp_path/'taught')['teacher']==dict(strong='a', weak='b')
    assert not any(p.requires_grad for o in (strong, weak) for p in o.parameters())
    assert learn.diffusion.config==TINY
