// Runs the Node client `ali-ons`, unchanged, against a name server.
//
//   npm ci && node main.js HOST:PORT [case,case]
//
// Each case works on topics and groups of its own. The last line is
// `INTEROP node passed=… failed=… | case=ok case=FAIL …`; the exit code is 1 if a case failed.
'use strict';

const { Producer, Consumer, Message } = require('ali-ons');

const [nameSrv, only] = process.argv.slice(2);
const RUN = Date.now();
const LIMIT_MS = 45_000;

const quiet = { info() {}, debug() {}, warn() {}, error() {} };
// The client wants one even when the name server's address is given; it is never asked then.
const httpclient = { request() { throw new Error('no look-up of addresses was expected'); } };
const base = { nameSrv, httpclient, logger: quiet };

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

async function until(what, holds) {
  const end = Date.now() + LIMIT_MS;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`in vain: ${what}`);
    await sleep(100);
  }
}

// Names, clients and arrivals of one case.
class Bench {
  constructor(name) {
    this.name = name;
    this.open = [];
    this.arrived = [];
  }

  topic() { return `node-${this.name}-${RUN}`; }

  async producer() {
    const p = new Producer({ ...base, producerGroup: `nodep-${this.name}-${RUN}`, instanceName: `p-${this.name}` });
    p.on('error', () => {});
    this.open.push(p);
    await p.ready();
    await this.createTopic(p._mqClient);
    return p;
  }

  // The client makes no topics at a send and offers no call for it; it can make one all the same.
  async createTopic(api) {
    const route = await api.getDefaultTopicRouteInfoFromNameServer('TBW102', 3000);
    const addr = Object.values(route.brokerDatas[0].brokerAddrs)[0];
    await api.createTopic(addr, 'TBW102', {
      topicName: this.topic(), readQueueNums: 2, writeQueueNums: 2, perm: 6,
      topicFilterType: 'SINGLE_TAG', topicSysFlag: 0, order: false,
    }, 3000);
  }

  // Starts a consumer from the first offset whose arrivals are kept as texts.
  async consumer(filter = '*', listen = async () => {}, options = {}) {
    const c = new Consumer({
      ...base, consumerGroup: `nodeg-${this.name}-${RUN}`, instanceName: `c-${this.name}`,
      consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET', rebalanceInterval: 1000, ...options,
    });
    c.on('error', () => {});
    this.open.push(c);
    c.subscribe(this.topic(), filter, async m => {
      this.arrived.push({ text: m.body.toString(), at: Date.now(), tries: m.reconsumeTimes });
      return listen(m);
    });
    await c.ready();
    return c;
  }

  async send(p, text, change = () => {}) {
    const m = new Message(this.topic(), '', text);
    change(m);
    const answer = await p.send(m);
    if (answer.sendStatus !== 'SEND_OK' || !answer.msgId) throw new Error(`answered ${JSON.stringify(answer)}`);
  }

  async exactly(...texts) {
    const got = () => this.arrived.map(a => a.text).sort().join(' ');
    await until(`all of ${texts}; arrived ${got()}`, () => texts.every(t => this.arrived.some(a => a.text === t)));
    await sleep(1000);
    if (got() !== [...texts].sort().join(' ')) throw new Error(`arrived ${got()} instead of ${texts}`);
  }

  async close() {
    for (const client of this.open) await Promise.race([client.close(), sleep(2000)]).catch(() => {});
  }
}

const cases = {
  async produce(b) {
    const p = await b.producer();
    for (let i = 0; i < 6; i++) await b.send(p, `m${i}`);
    await b.consumer();
    await b.exactly('m0', 'm1', 'm2', 'm3', 'm4', 'm5');
  },

  async tags(b) {
    const p = await b.producer();
    for (const tag of ['red', 'green', 'blue']) await b.send(p, tag, m => { m.tags = tag; });
    await b.consumer('red || blue');
    await b.exactly('red', 'blue');
  },

  async delay(b) {
    const p = await b.producer();
    await b.send(p, 'now');
    await b.consumer();
    await b.exactly('now');
    const from = Date.now();
    await b.send(p, 'later', m => { m.delayTimeLevel = 1; });
    await b.exactly('now', 'later');
    const took = b.arrived.find(a => a.text === 'later').at - from;
    if (took < 900 || took > 6000) throw new Error(`delay level 1 took ${took} ms`);
  },

  // The client's own setStartDeliverTime is a property of Alibaba's cloud; Apache's is this one.
  async timer(b) {
    const p = await b.producer();
    await b.send(p, 'now');
    await b.consumer();
    await b.exactly('now');
    const due = Date.now() + 3000;
    await b.send(p, 'then', m => { m.properties.TIMER_DELIVER_MS = String(due); });
    await b.exactly('now', 'then');
    const late = b.arrived.find(a => a.text === 'then').at - due;
    if (late < -1000 || late > 3000) throw new Error(`delivered ${late} ms after it was due`);
  },

  async retry(b) {
    const p = await b.producer();
    await b.send(p, 'again');
    // The first attempt fails; the retry topic is found by a look at the routes, at most 30 s later.
    await b.consumer('*', async m => (m.reconsumeTimes === 0 ? Consumer.ACTION_RETRY : undefined),
      { pollNameServerInteval: 1000 });
    await until('a second attempt', () => b.arrived.length > 1);
    if (!b.arrived.every(a => a.text === 'again')) throw new Error(JSON.stringify(b.arrived));
  },
};

async function run(name) {
  const b = new Bench(name);
  const from = Date.now();
  try {
    await cases[name](b);
    console.log(`  ok    ${name.padEnd(12)} ${((Date.now() - from) / 1000).toFixed(1)} s`);
    return true;
  } catch (error) {
    console.log(`  FAIL  ${name.padEnd(12)} ${((Date.now() - from) / 1000).toFixed(1)} s  ${error.message}`);
    return false;
  } finally {
    await b.close();
  }
}

async function main() {
  const names = only ? only.split(',') : Object.keys(cases);
  if (!nameSrv || names.some(n => !cases[n])) {
    console.error(`usage: node main.js HOST:PORT [${Object.keys(cases)}]`);
    return 2;
  }
  const passed = await Promise.all(names.map(run));
  const count = passed.filter(Boolean).length;
  const words = names.map((n, i) => `${n}=${passed[i] ? 'ok' : 'FAIL'}`).join(' ');
  console.log(`INTEROP node passed=${count} failed=${names.length - count} | ${words}`);
  return count === names.length ? 0 : 1;
}

process.on('unhandledRejection', error => console.log(`  (client: ${error.message})`));
main().then(code => process.exit(code));
