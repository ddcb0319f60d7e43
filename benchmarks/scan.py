"""A web scanner on the running page

    pip install wapiti3     # in an environment of its own: it brings half a hundred packages
    python benchmarks/scan.py --wapiti PATH/TO/bin/wapiti
    python benchmarks/scan.py --wapiti PATH/TO/bin/wapiti --clip reel.mkv   # a short one

A crawler sees four files: everything else is asked by the page's script. So the scanner is also
given a description of all addresses, with a visitor and a photograph (or a clip) that exist, and
attacks each of their parameters. Findings are printed by their kind; any but informational ones
end with 1."""
import argparse, json, subprocess, sys, tempfile
from pathlib import Path
from served import PHOTO, Served, Visitor

# Not run: what asks for databases from elsewhere, or looks for other programs than this one
LEFT_OUT = 'nikto','wapp','htp','cms','wp_enum','takeover','network_device','brute_login_form', \
    'log4shell','spring4shell','https_redirect','ssl','timesql'

def openapi(url, visitor, photo, token, clip):
    "A description of the page's addresses with values that exist; `clip`: is `photo` one of film?"
    text = lambda value: dict(type='string', default=value, example=value)
    def parameter(name, value, where):
        return {'name':name, 'in':where, 'required':True, 'schema':text(value), 'example':value}
    def question(**arguments):
        return dict(post=dict(requestBody=dict(required=True, content={'application/json': dict(
            schema=dict(type='object', properties={k: _schema(v) for k,v in arguments.items()}),
            example=arguments)}), responses={'200':dict(description='events')}))
    def plain(method, *parameters):
        return {method: dict(parameters=list(parameters), responses={'200':dict(description='')})}
    color = dict(photo=photo, seed=0, strokes=[], saturation=1)
    asked = dict(read=dict(photo=photo), color=color, sample=color,
                 uncertainty=dict(photo=photo, strokes=[]))
    if clip:
        asked = dict(shots=dict(photo=photo), thumbnail=dict(photo=photo, shot=0),
                     frame=dict(photo=photo, shot=0), film=dict(photo=photo, strokes=[]))
    who = parameter('visitor', visitor, 'path')
    paths = {
        '/': plain('get'), '/visits': plain('post'), '/visits/{visitor}': plain('post', who),
        '/photos/{visitor}': plain('post', who, parameter('name', 'a.jpg', 'query')),
        '/files/{photo}/{token}': plain('get', parameter('photo', photo, 'path'),
                                        parameter('token', token, 'path')),
        **{f'/questions/{k}': question(**o) for k,o in asked.items()}}
    return dict(openapi='3.0.0', info=dict(title='page', version='1'), servers=[dict(url=url)],
                paths=paths)

def _schema(value):
    kinds = {str:'string', int:'integer', list:'array', float:'number'}
    out = dict(type=kinds[type(value)], example=value, default=value)
    return dict(out, items=dict(type='object')) if value==[] else out

def bring(v, clip):
    "(name of the photograph or clip, address of its colored file)"
    if clip is None:
        photo = v.upload(PHOTO.read_bytes())
        return photo,v.question('save', photo=photo, seed=0, strokes=[], saturation=1)['url']
    photo = v.upload(clip.read_bytes(), 'reel.mkv')
    v.question('shots', photo=photo)
    return photo,v.question('film', photo=photo, strokes=[])['files'][0]['url']

def run(wapiti, folder, server, seconds, clip):
    "The scanner's report"
    v = Visitor(server.url)
    photo,saved = bring(v, clip)
    described,report = folder/'openapi.json',folder/'report.json'
    described.write_text(json.dumps(openapi(server.url, v.name, photo, saved.split('/')[-1],
                                            clip is not None)))
    modules = 'all,'+','.join(f'-{o}' for o in LEFT_OUT)
    command = [wapiti, '-u', server.url, '--scope', 'domain', '--swagger', described, '-m', modules,
               '-f', 'json', '-o', report, '--flush-session', '--no-bugreport', '--level', '2',
               '--max-attack-time', seconds, '--store-session', folder/'session',
               '--store-config', folder/'config']
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if not report.exists():
        raise SystemExit(done.stdout[-3000:]+done.stderr[-3000:])
    return json.loads(report.read_text()),done.stdout

def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    p.add_argument('--wapiti', default='wapiti', help='the scanner')
    p.add_argument('--clip', type=Path, help='scan with this film instead of a photograph')
    p.add_argument('--seconds', type=int, default=120, help='for each kind of attack, at most')
    p.add_argument('--json', type=Path, help="the scanner's whole report")
    p.add_argument('--log', type=Path, help='what the scanner said')
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        server = Served(Path(tmp))
        try:
            report,said = run(args.wapiti, Path(tmp), server, args.seconds, args.clip)
        finally:
            server.end()
        logged = (Path(tmp)/'server.log').read_text().splitlines()[1:]
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))
    if args.log:
        args.log.write_text(said)
    print('| level | kind | findings |\n|---|---|---|')
    bad = 0
    for level in 'vulnerabilities','anomalies','additionals':
        for kind,found in report[level].items():
            if found:
                print(f'| {level} | {kind} | {len(found)} |')
                bad += len(found)*(level!='additionals')
                for o in found[:5]:
                    print(f"    {o['method']} {o['path']} {o.get('parameter')}: {o['info'][:200]}")
    about = report['infos']
    print(f"{about.get('version')}: {about.get('crawled_pages_nbr')} addresses; "
          f"{bad} findings above informational; the server logged {len(logged)} lines")
    return int(bad>0)

if __name__=='__main__':
    sys.exit(main())
