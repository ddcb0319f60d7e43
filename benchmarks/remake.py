"""Every table and figure that depends on the weights inside the package, made anew: what to run
when they were exchanged.

    python benchmarks/remake.py --valid VAL --outside OUTSIDE --further FURTHER --out DIR
        [--jobs 2] [--only NAME …]

VAL is the folder of validation photographs, OUTSIDE comes from `outside.py`, FURTHER from
`further.py`. The tables that `sampling.ipynb` and `guidance.ipynb` in `nbs/experiments` and the
tutorials read are written to DIR under their names, and the reports for the model card as
DIR/NAME.md: look at them before they replace what is there. Each job has one thread; with two of
them more than two hours on two cores without bfloat16. What DIR holds already is not made
again."""
import argparse, os, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
SAMPLERS = ['ddim:4', 'ddim:8', 'ddim:6even', 'ddim:1', 'ddim:2', 'ddpm:6',
            'ddpm:16', 'ddim:16', 'ddim:6:0.7', 'dpmpp_2m:6', 'ddpm:8', 'ddim:6:1:1:8']
GAINS = [f'ddim:6:1:{gain}' for gain in (0.85, 1.2, 1.4, 1.6)] # 'ddim:6' has 1

def jobs(val, outside, further, out, gain, noise):
    "Name -> command. Settings are compared at a noise of 1, figures are those of the defaults"
    plain = f'dpmpp_2m:6:1:{gain:g}' # sampler, steps, noise, gain
    def agree(steps=6, g=gain): return f'dpmpp_2m+agree:{steps}:1:{g:g}'
    def keep(steps=6): return f'dpmpp_2m+agree+keep:{steps}:1:{gain:g}'
    def calm(t): return f'dpmpp_2m+agree+keep:6:{t:g}:{gain:g}'
    default = calm(noise)
    def at(spec, *sizes): return [f'{spec}@{n}' for n in sizes]
    def steps(name, folder, specs, *more, reference=None, n=10**6):
        against = ['--reference', reference] if reference else []
        return ['steps.py', '--valid', folder, '--n', n, '--out', out/f'{name}.csv', *more,
                *against, *specs]
    def own(name, folder):
        return steps(name, folder, ['gray', f'{default}@own'], reference='gray')
    def evaluate(*more): return ['colorized', 'evaluate', '--model', 'default', *more]
    gained,objects = f'ddim:6:1:{gain:g}',further/'objects'
    classes = further/'objects.json'
    temperatures = (1, 0.85, 0.7, 0.6, 0.5, 0)
    return dict(
        steps=steps('steps', val, ['ddim:6', *GAINS, *SAMPLERS], n=250),
        own_things=own('own_things', further/'things'),
        own_scenes=own('own_scenes', further/'scenes'),
        objects=steps('objects', objects, ['gray', default, f'{default}@own'],
                      '--labels', classes, '--extractor', 'lite2', reference='gray'),
        missing=['missing.py', objects, classes],
        own_val=own('own_val', val),
        own_outside=own('own_outside', outside),
        enlarged=steps('enlarged', outside, at(agree(), 256, 320, 384, 512),
                       reference=f'{agree()}@256'),
        size=steps('size', outside, [*at(agree(), 256, 320, 384, 512),
                   f'{agree(6, gain+0.2)}@384', f'{plain}@384'],
                   '--least', 512, reference=f'{agree()}@256'),
        large=steps('large', outside, ['gray', *at(default, 256, 384, 512)],
                    '--least', 512, reference=f'{default}@256'),
        agree=steps('agree', val, [gained, plain, *map(agree, (6,4,8,16)),
                    f'ddim+agree:6:1:{gain:g}'], reference=plain, n=250),
        agree_outside=steps('agree_outside', outside, [gained, plain, agree(), agree(8)],
                            reference=plain),
        keep=steps('keep', val, [agree(), keep(), keep(8), f'ddim:1:1:{gain:g}'],
                   reference=agree(), n=250),
        keep_outside=steps('keep_outside', outside, [f'{agree()}@own', f'{keep()}@own'],
                           reference=f'{agree()}@own'),
        noise=steps('noise', val, map(calm, temperatures), reference=calm(1), n=250),
        noise_things=steps('noise_things', further/'things',
                           [f'{calm(t)}@own' for t in temperatures],
                           reference=f'{calm(1)}@own', n=160),
        hints=['hints.py', val, '--csv', out/'hints.csv'],
        worn=steps('worn', val, [default], '--worn', reference=default, n=250),
        evaluate=evaluate('--true', val, '--samples', '2'),
        evaluate_lite2=evaluate('--true', val, '--extractor', 'lite2'),
        evaluate_outside=evaluate('--true', outside))

def run(name, command, report):
    "Run one job and keep what it prints; what went wrong, if anything"
    if report.exists(): return
    first,*more = map(str, command)
    if first=='colorized':
        program = [Path(sys.executable).with_name(first)]
    else:
        program = [sys.executable, HERE/first]
    done = subprocess.run([*program, *more], text=True, capture_output=True,
                          env={**os.environ, 'OMP_NUM_THREADS': '1'})
    if done.returncode: return f'{name}: {done.stderr[-2000:]}'
    report.write_text(done.stdout)
    print(name, flush=True)

def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    for o in ('valid', 'outside', 'further', 'out'):
        p.add_argument(f'--{o}', type=Path, required=True)
    p.add_argument('--jobs', type=int, default=2)
    p.add_argument('--only', nargs='*', metavar='NAME')
    args = p.parse_args()
    from colorized.inference.colorizer import WEIGHTS
    from colorized.model.checkpoint import load_checkpoint
    args.out.mkdir(parents=True, exist_ok=True)
    _,config,_ = load_checkpoint(WEIGHTS/'default.safetensors')
    s = config.sampling
    todo = jobs(args.valid, args.outside, args.further, args.out, s.gain, s.temperature)
    if unknown := set(args.only or ())-set(todo):
        p.error(f"no such table: {', '.join(sorted(unknown))} (known: {', '.join(todo)})")
    one = lambda name: run(name, todo[name], args.out/f'{name}.md')
    with ThreadPoolExecutor(args.jobs) as pool:
        failed = [*filter(None, pool.map(one, args.only or todo))]
    if failed:
        raise SystemExit('\n'.join(failed))

if __name__=='__main__': main()
