"Firefox, which Playwright drives only in a build of its own"
import json, subprocess, threading, time
import websocket

class Firefox:
    "Debian's Firefox, by WebDriver BiDi, which it speaks itself"
    def __init__(self, profile):
        prefs = {'datareporting.policy.dataSubmissionEnabled': False, 'app.update.auto': False,
            'browser.shell.checkDefaultBrowser': False,
            'network.captive-portal-service.enabled': False, 'browser.download.folderList': 2,
            'browser.download.dir': str(profile/'downloads')}
        self.profile = profile
        lines = [f'user_pref({json.dumps(k)}, {json.dumps(v)});' for k,v in prefs.items()]
        (profile/'user.js').write_text('\n'.join(lines))
        command = ['firefox-esr', '--headless', '--no-remote', '--profile', str(profile),
                   '--remote-debugging-port=0']
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        heard = next(o for o in self.process.stderr if 'BiDi listening on' in o)
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        self.socket = websocket.create_connection(heard.split()[-1]+'/session', timeout=180,
                                                  suppress_origin=True)
        self.n = 0
        self.call('session.new', capabilities={})
        self.tab = self.call('browsingContext.getTree')['contexts'][0]['context']
    def call(self, method, **params):
        self.n += 1
        self.socket.send(json.dumps(dict(id=self.n, method=method, params=params)))
        while (o := json.loads(self.socket.recv())).get('id')!=self.n: pass
        if o['type']=='error':
            raise RuntimeError(o['message'])
        return o['result']
    def go(self, address):
        self.call('browsingContext.navigate', context=self.tab, url=address)
    def bring(self, field, *files):
        "Choose files in the field of that name"
        o = self.evaluate(f'document.getElementById({json.dumps(field)})')
        self.call('input.setFiles', context=self.tab, files=list(map(str, files)),
                  element=dict(sharedId=o['sharedId']))
    def evaluate(self, js):
        o = self.call('script.evaluate', expression=js, target=dict(context=self.tab),
                      awaitPromise=True)
        return o['result']
    def until(self, js, seconds=180):
        deadline = time.monotonic()+seconds
        while True:
            try:
                if (o := self.evaluate(js).get('value')): return o
            except RuntimeError: # the page loads itself anew
                pass
            assert time.monotonic()<deadline, js
            time.sleep(0.1)
    def downloaded(self, seconds=60):
        "The file that is being downloaded, once it is whole"
        folder,deadline = self.profile/'downloads',time.monotonic()+seconds
        while True:
            found = [o for o in folder.glob('*') if o.stat().st_size]
            if found and not [o for o in found if o.suffix=='.part']: return found[0]
            assert time.monotonic()<deadline, found
            time.sleep(0.1)
    def close(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait(60)
