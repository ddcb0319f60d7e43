"""Every table and figure that depends on the weights inside the package, made anew: what to run when they were exchanged.

    python benchmarks/remake.py --valid VAL --outside OUTSIDE --further FURTHER --out DIR [--jobs 2] [--only NAME …]

VAL is the folder of validation photographs, OUTSIDE comes from `outside.py`, FURTHER from `further.py`. The tables of `nbs/experiments` that chapter 13
and the tutorials read are written to DIR under their names, and the reports for the model card as DIR/NAME.md: look at them before they replace what is there.
Each job has one thread; with two of them more than an hour on two cores (reckoned from its parts). What DIR holds already is not made again."""
import argparse, os, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent

def jobs(val, outside, further, out, gain):
    "Name -> command"
    plain,agree = f'dpmpp_2m:6:1:{gain:g}',lambda steps=6, g=gain: f'dpmpp_2m+agree:{steps}:1:{g:g}' # sampler, steps, noise, gain
    default = lambda steps=6: f'dpmpp_2m+agree+keep:{steps}:1:{gain:g}'
    steps = lambda name, folder, specs, *more, n=10**6: ['steps.py', '--valid', folder, '--n', n, '--out', out/f'{name}.csv', *more, *specs]
    own = lambda name, folder, *more: steps(name, folder, ['gray', f'{default()}@own'], '--reference', 'gray', *more)
    judged = lambda *more: ['colorized', 'evaluate', '--model', 'default', *more]
    return dict(
        steps=steps('steps', val, ['ddim:6', f'ddim:6:1:{gain:g}', 'ddim:6:1:1.4', 'ddim:6:1:1.6', 'ddim:4', 'ddim:8', 'ddim:166-332-499-666-832-999', 'ddim:1', 'ddim:2', 'ddpm:6', 'ddpm:16',
                                   'ddim:16', 'ddim:6:0.7', 'dpmpp_2m:6', 'ddpm:8', 'ddim:6:1:1:8'], n=250),
        own_things=own('own_things', further/'things'), own_scenes=own('own_scenes', further/'scenes'),
        objects=steps('objects', further/'objects', ['gray', default(), f'{default()}@own'], '--reference', 'gray', '--labels', further/'objects.json', '--extractor', 'lite2'),
        missing=['missing.py', further/'objects', further/'objects.json'],
        own_val=own('own_val', val), own_outside=own('own_outside', outside),
        enlarged=steps('enlarged', outside, [f'{agree()}@{n}' for n in (256,320,384,512)], '--reference', f'{agree()}@256'),
        size=steps('size', outside, [*(f'{agree()}@{n}' for n in (256,320,384,512)), f'{agree(6, gain+0.2)}@384', f'{plain}@384'], '--least', 512, '--reference', f'{agree()}@256'),
        large=steps('large', outside, ['gray', *(f'{default()}@{n}' for n in (256,384,512))], '--least', 512, '--reference', f'{default()}@256'),
        agree=steps('agree', val, [f'ddim:6:1:{gain:g}', plain, *map(agree, (6,4,8,16)), f'ddim+agree:6:1:{gain:g}'], '--reference', plain, n=250),
        agree_outside=steps('agree_outside', outside, [f'ddim:6:1:{gain:g}', plain, agree(), agree(8)], '--reference', plain),
        keep=steps('keep', val, [agree(), default(), default(8), f'ddim:1:1:{gain:g}'], '--reference', agree(), n=250),
        keep_outside=steps('keep_outside', outside, [f'{agree()}@own', f'{default()}@own'], '--reference', f'{agree()}@own'),
        hints=['hints.py', val, '--csv', out/'hints.csv'],
        worn=steps('worn', val, [default()], '--worn', '--reference', default(), n=250),
        evaluate=judged('--true', val, '--samples', '2'), evaluate_lite2=judged('--true', val, '--extractor', 'lite2'), evaluate_outside=judged('--true', outside))

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for o in ('valid', 'outside', 'further', 'out'): p.add_argument(f'--{o}', type=Path, required=True)
    p.add_argument('--jobs', type=int, default=2); p.add_argument('--only', nargs='*', metavar='NAME')
    args = p.parse_args()
    from colorized.model.checkpoint import load_checkpoint
    from colorized.inference.colorizer import WEIGHTS
    args.out.mkdir(parents=True, exist_ok=True)
    todo = jobs(args.valid, args.outside, args.further, args.out, load_checkpoint(WEIGHTS/'default.safetensors')[1].gain)
    if unknown := set(args.only or ())-set(todo): p.error(f"no such table: {', '.join(sorted(unknown))} (known: {', '.join(todo)})")
    def run(name):
        report = args.out/f'{name}.md'
        if report.exists(): return
        first,*more = map(str, todo[name])
        command = [Path(sys.executable).with_name(first), *more] if first=='colorized' else [sys.executable, HERE/first, *more]
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, 'OMP_NUM_THREADS': '1'})
        if done.returncode: return f'{name}: {done.stderr[-2000:]}'
        report.write_text(done.stdout); print(name, flush=True)
    with ThreadPoolExecutor(args.jobs) as pool: failed = [*filter(None, pool.map(run, args.only or todo))]
    if failed: raise SystemExit('\n'.join(failed))

if __name__=='__main__': main()
