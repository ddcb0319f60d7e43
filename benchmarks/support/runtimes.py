"Runtimes for the exported graphs, and graphs of 8 bits"
import hashlib, json
import torch
from colorized.evaluation.folders import load_crop
from colorized.export.folder import MANIFEST
from colorized.export.graphs import trace_network
from colorized.export.runtime import OnnxSampler, open_session
from colorized.inference.colorizer import Colorizer
from colorized.photo.lab import rgb_to_L

FIRST = 'PyTorch, float32' # what the others are compared with
EIGHT = 'ONNX Runtime, int8','OpenVINO, int8'

class OpenVino:
    "A compiled graph with ONNX Runtime's `run`"
    def __init__(self, path, threads, precision='f32'):
        import openvino
        core = openvino.Core()
        hints = dict(PERFORMANCE_HINT='LATENCY', NUM_STREAMS='1',
                     INFERENCE_NUM_THREADS=threads or torch.get_num_threads(),
                     INFERENCE_PRECISION_HINT=precision)
        self.model = core.compile_model(core.read_model(path), 'CPU', hints)
    def run(self, _, given):
        out = self.model(given)
        return [out[i].copy() for i in range(len(self.model.outputs))]

class Recorder:
    "ONNX Runtime, and what it was given"
    def __init__(self, path, threads):
        self.session,self.given = open_session(path, threads),[]
    def run(self, names, given):
        self.given.append(given)
        return self.session.run(names, given)

class Feeds:
    "What was recorded, as `onnxruntime.quantization` reads it"
    def __init__(self, feeds): self.feeds = iter(feeds)
    def get_next(self): return next(self.feeds, None)

def lightness(photos):
    "(1,1,256,256) of each file's center"
    for o in photos:
        yield rgb_to_L(load_crop(o)[0][None])

def recorded(colorizer, folder, photos):
    "What encoder and denoiser are given while photographs are colored: {name: [inputs, …]}"
    sessions = {}
    def opened(path, threads):
        sessions[path.stem] = Recorder(path, threads)
        return sessions[path.stem]
    sampler = OnnxSampler(colorizer, folder, open=opened)
    for i,L in enumerate(lightness(photos)):
        sampler.sample(sampler.condition(L), [i])
    return {k: v.given for k,v in sessions.items()}

def quantize(colorizer, folder, out, photos):
    """The folder `out`: the graphs of `folder` with 8 bits, calibrated on `photos`

    Convolutions and products of matrices only, a scale for each channel of a weight, 7 bits of
    it, without which AVX2 saturates."""
    from onnxruntime import quantization as q
    from onnxruntime.quantization.shape_inference import quant_pre_process
    manifest,feeds = json.loads((folder/MANIFEST).read_text()),recorded(colorizer, folder, photos)
    out.mkdir()
    for name,graph in trace_network(colorizer.net).items():
        path = out/f'{name}.onnx'
        whole = out/'whole.onnx'
        whole.write_bytes(graph.SerializeToString())
        quant_pre_process(whole, whole, skip_symbolic_shape=True)
        q.quantize_static(whole, path, Feeds(feeds[name]), quant_format=q.QuantFormat.QDQ,
            op_types_to_quantize=['Conv', 'MatMul', 'Gemm'], per_channel=True, reduce_range=True,
            activation_type=q.QuantType.QUInt8, weight_type=q.QuantType.QInt8)
        whole.unlink()
        manifest['files'][path.name]['sha256'] = hashlib.sha256(path.read_bytes()).hexdigest()
    for name in manifest['files'].keys()-{o.name for o in out.iterdir()}:
        (out/name).write_bytes((folder/name).read_bytes())
    (out/MANIFEST).write_text(json.dumps(manifest))
    return out

def contestants(colorizer, folders, threads):
    "Name -> colorizer, the one that all are compared with first"
    plain = Colorizer(colorizer.net, colorizer.config, colorizer.name, colorizer.sha256, 'cpu')
    native,plain.bf16 = plain.bf16,False
    made = {FIRST: plain}
    if native:
        made['PyTorch, bfloat16'] = colorizer
    for bits,folder in folders.items():
        made[f'ONNX Runtime, {bits}'] = OnnxSampler(colorizer, folder, threads)
        made[f'OpenVINO, {bits}'] = OnnxSampler(colorizer, folder, threads, OpenVino)
    if native:
        half = lambda path, threads: OpenVino(path, threads, 'bf16')
        made['OpenVINO, bfloat16'] = OnnxSampler(colorizer, folders['float32'], threads, half)
    return made
