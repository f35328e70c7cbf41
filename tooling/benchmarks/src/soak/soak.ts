import { setTimeout as delay } from 'node:timers/promises';

import type { Bench } from '../harness/bench.ts';
import { printTable, remark } from '../harness/figures.ts';
import { peakRss } from '../harness/process-figures.ts';
import { startStores } from '../s3-api/contenders.ts';
import { audit } from './audit.ts';
import type { Goal } from './audit.ts';
import { json, Scene } from './scene.ts';
import { startSubject } from './subject.ts';
import { Traffic } from './traffic.ts';

/** The longest time between faults, in milliseconds. */
const maxPeriod = 60_000;
/** MiB: of the API under many bodies, as in `memory`; its growth in the second half of its life; of the clients in this process. */
const [maxRss, maxGrowth, maxOwn] = [230, 48, 400];
/** Persistent connections to the store and to the database, and a few descriptors that an idle process opens now and then. */
const maxOpened = 10 + 10 + 4;

/** Mixed traffic of several tenants over S3, with faults, after which everything must be accounted for. */
export async function soak(bench: Bench): Promise<void> {
  const stores = await startStores(bench, bench.cells.includes('minio') ? 'minio' : 'ceph');
  const subject = await startSubject(bench, stores);
  const scene = new Scene(subject.url, stores.s3.kind);
  for (const tenant of scene.tenants) {
    const { tenant_uuid, tenant_slug } = tenant;
    const bucket = subject.bucketOf(tenant_slug);
    bench.resources.defer(() => bucket.drop().catch(() => {})); // it may never have been created
    await scene.call('admin', undefined, 'admin/tenants', [201], json({ tenant_uuid, tenant_slug }));
    await scene.call('admin', tenant, `admin/tenants/${tenant_slug}/provision-storage`, [200], json({ tenant_slug }));
  }

  const traffic = new Traffic(scene);
  const ending = new AbortController();
  const running = traffic.run(ending.signal).finally(() => ending.abort());
  const begun = performance.now();
  const memory: number[] = [];
  const count = { kill: 0, restart: 0, cutOff: 0, silence: 0, cutDatabase: 0, silenceDatabase: 0 };
  let lastOf = 0;
  for (const { at, what } of timeline(bench.minutes * 60_000)) {
    await delay(Math.max(0, begun + at - performance.now()), undefined, { signal: ending.signal }).catch(() => {});
    if (ending.signal.aborted) break;
    if (what === 'mark') memory.push(subject.rss());
    else await traffic.during(...subject[what]((lastOf = 1 - lastOf)));
    if (what !== 'mark') count[what]++;
    remark(
      `${(at / 60_000).toFixed(1)} min: ${what}; RSS ${subject.rss().toFixed(0)} MiB, of the clients ${peakRss(process.pid).toFixed(0)}`,
    );
  }
  ending.abort();
  await running;
  traffic.print(
    `${stores.s3.name}; ${bench.minutes} min; ${Object.entries(count)
      .map(([what, times]) => `${what}: ${times}`)
      .join(', ')}`,
  );

  const [early = NaN, half = NaN, end = NaN] = memory;
  await delay(6000); // until idle connections of clients are closed
  const opened = subject.opened();
  const goals: readonly Goal[] = [
    { what: 'answers that no fault excuses', value: traffic.found.length, max: 0 },
    { what: 'RSS of the larger process at 10 % of the life of the last one, MiB', value: early, max: maxRss },
    { what: 'at 50 %', value: half, max: maxRss },
    { what: 'at 100 %', value: end, max: maxRss },
    { what: 'growth from 50 to 100 %, MiB', value: end - half, max: maxGrowth },
    { what: 'descriptors that one has opened since it started', value: opened, max: maxOpened },
    ...(await audit({ subject, scene, client: stores.client, unacknowledged: traffic.unacknowledged })),
    { what: 'peak RSS of the clients, MiB', value: peakRss(process.pid), max: maxOwn },
  ];
  const isMet = ({ value, max }: Goal): boolean => value <= max;
  printTable(
    'Goals',
    ['what', 'value', 'at most', ''],
    goals.map((goal) => [goal.what, goal.value.toFixed(0), String(goal.max), isMet(goal) ? 'met' : 'MISSED']),
  );
  const missed = goals.filter((goal) => !isMet(goal));
  for (const what of [...traffic.found, ...missed.flatMap(({ examples = [] }) => examples.slice(0, 10))])
    process.stdout.write(`- ${what}\n`);
  process.stdout.write(`\ngoals: ${missed.length === 0 ? 'all met' : `missed ${missed.map(({ what }) => what).join('; ')}`}\n`);
  if (missed.length > 0) process.exitCode = 1;
}

interface Step {
  /** Milliseconds from the beginning. */
  readonly at: number;
  readonly what: Fault | 'mark';
}

const lasting = ['cutOff', 'silence', 'cutDatabase', 'silenceDatabase'] as const;
const all = ['kill', 'restart', ...lasting] as const;
type Fault = (typeof all)[number];

/** Faults of all kinds in the first half. In the second half no process ends, so that its memory is meaningful. */
function timeline(whole: number): readonly Step[] {
  const period = Math.min(maxPeriod, whole / 10);
  const faults = Array.from({ length: Math.ceil(whole / period) - 1 }, (_, index): Step => {
    const at = (index + 1) * period;
    return { at, what: at <= whole / 2 ? all[index % all.length]! : lasting[index % lasting.length]! };
  });
  const since = faults.findLast(({ what }) => what === 'kill' || what === 'restart')!.at;
  const marks = [0.1, 0.5, 1].map((part): Step => ({ at: since + part * (whole - since), what: 'mark' }));
  return [...faults, ...marks].toSorted((a, b) => a.at - b.at);
}
