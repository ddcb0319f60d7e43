"""Training in less time on a processor: the frozen encoder in OpenVINO, faster gradients

On one thread, in bfloat16, the encoder takes 4.4 ms for a photograph of 256 px in OpenVINO, four at
a time; compiled by PyTorch 15 ms, 32 at a time (CPU time of one run each, on a busy machine).
"""
from functools import partial
import torch, torch.nn.functional as F
from torch import nn
from colorized.model.unet import has_native_bf16
try:
    import openvino
except ModuleNotFoundError:
    openvino = None

class OpenVINOEncoder:
    "`Encoder.forward` for squares, a few photographs at a time"
    rows = 4 # 1 to 16 take 4.4 to 5.0 ms each, 32 take 8.0: the early maps leave the caches
    def __init__(self, encoder):
        self.strides,self.sides = tuple(encoder.channels),{} # side -> what infers
        self.maps = nn.Module()
        self.maps.encoder = encoder.eval()
        forward = encoder.forward # that of now, whose place this takes
        self.maps.forward = lambda L: tuple(forward(L)[s] for s in self.strides)
    def open(self, side):
        "What infers squares of a side"
        shape = self.rows,1,side,side
        with torch.autocast('cpu', enabled=False): # what it adds cannot be converted
            example = dict(example_input=torch.zeros(shape), input=[shape])
            model = openvino.convert_model(self.maps, **example)
        half = has_native_bf16(torch.device('cpu'))
        options = dict(INFERENCE_PRECISION_HINT='bf16' if half else 'f32',
                       INFERENCE_NUM_THREADS=torch.get_num_threads())
        return openvino.Core().compile_model(model, 'CPU', options).create_infer_request()
    def __call__(self, L):
        side = L.shape[-1]
        if side not in self.sides: self.sides[side] = self.open(side)
        request,parts = self.sides[side],[]
        for part in L.float().split(self.rows):
            missing = self.rows-len(part)
            request.infer([F.pad(part, (0,0,0,0,0,0,0,missing)).contiguous().numpy()])
            parts.append([torch.tensor(o.data[:len(part)]) for o in request.output_tensors])
        joined = [torch.cat(o).to(memory_format=torch.channels_last) for o in zip(*parts)]
        return dict(zip(self.strides, joined))

def fast(encoder, compiled=False):
    "What encodes without gradient: OpenVINO where it is installed, else PyTorch, `compiled` or not"
    if openvino: return OpenVINOEncoder(encoder)
    forward = torch.compile(encoder.forward, dynamic=False) if compiled else encoder.forward
    return torch.no_grad()(forward)

def quicken(unet):
    "Let its 3×3 convolutions have faster gradients"
    for o in unet.modules():
        if isinstance(o, nn.Conv2d) and (o.kernel_size,o.stride)==((3,3), (1,1)):
            o._conv_forward = partial(small_convolution, o)

def small_convolution(conv, x, weight, bias):
    "`conv._conv_forward` for a 3×3 convolution, with faster gradients on small grids"
    if x.shape[-1]>8: return F.conv2d(x, weight, bias, padding=1)
    if torch.is_autocast_enabled('cpu'):
        dtype = torch.get_autocast_dtype('cpu')
        x,weight,bias = [o.to(dtype) for o in (x, weight, bias)]
    return SmallConvolution.apply(x, weight, bias)

class SmallConvolution(torch.autograd.Function):
    """3×3 convolution whose gradient by the weights is one product of matrices

    On 4×4 cells in bfloat16 oneDNN's own takes six times as long, on 8×8 twice, on 16×16 as long.
    """
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, padding=1)
    @staticmethod
    def backward(ctx, grad):
        x,weight = ctx.saved_tensors
        n_out,n_in = weight.shape[:2]
        back = torch.ops.aten.convolution_backward
        grad_x = back(grad, x, weight, [n_out], [1,1], [1,1], [1,1], False, [0,0], 1,
                      [True,False,False])[0]
        rows = grad.permute(0,2,3,1).reshape(-1, n_out)
        grad_weight = (rows.t() @ neighborhoods(x)).view(n_out, 3, 3, n_in).permute(0,3,1,2)
        return grad_x,grad_weight,rows.sum(0)

def neighborhoods(x):
    "(N,C,H,W) -> (N*H*W,9*C): each cell with those around it"
    n,c,h,w = x.shape
    padded = F.pad(x.permute(0,2,3,1), (0,0,1,1,1,1))
    shifted = [padded[:,i:i+h,j:j+w] for i in range(3) for j in range(3)]
    return torch.cat(shifted, -1).reshape(n*h*w, 9*c)
