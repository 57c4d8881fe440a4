// peers.js QUEUE JOBS CONNECTIONS: queues jobs, runs them all, and prints how many a second, and the process's own
// microseconds of CPU a job. A job inserts one row. The queue is filled before the clock starts.
const { Pool } = require("pg");

const [queue, jobs, connections] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const connection = { host: process.env.PGHOST, port: Number(process.env.PGPORT), user: "bench", database: "bench" };
const effects = new Pool({ ...connection, max: connections });
const insert = (v) => effects.query({ name: "effect", text: "insert into effects (v) values ($1)", values: [v] });

// Resolves once every job was done; start() begins to work.
async function measured(start) {
  let done = 0;
  let finish;
  const finished = new Promise((resolve) => (finish = resolve));
  const begun = process.hrtime.bigint();
  const cpu = process.cpuUsage();
  await start((count) => {
    done += count;
    if (done === jobs) finish();
  });
  await finished;
  const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
  const used = process.cpuUsage(cpu);
  console.log(`${Math.round(jobs / seconds)} ${Math.round((used.user + used.system) / jobs)}`);
  process.exit(0);
}

async function graphileWorker() {
  const { run, runMigrations, Logger } = require("graphile-worker");
  const pgPool = new Pool({ ...connection, max: connections + 2 });
  const logger = new Logger(() => () => {});
  await runMigrations({ pgPool, logger });
  await pgPool.query("select graphile_worker.add_job('effect', json_build_object('n', n)) from generate_series(1, $1::int) n", [jobs]);
  await measured((done) =>
    run({
      pgPool,
      logger,
      concurrency: connections,
      taskList: {
        effect: async (payload) => {
          await insert(payload.n);
          done(1);
        },
      },
    }),
  );
}

async function pgBoss() {
  const PgBoss = require("pg-boss");
  const boss = new PgBoss({ ...connection, max: connections });
  boss.on("error", () => {});
  await boss.start();
  await boss.createQueue("effect");
  for (let n = 0; n < jobs; n += 1000)
    await boss.insert(Array.from({ length: Math.min(1000, jobs - n) }, (_, i) => ({ name: "effect", data: { n: n + i } })));
  const workers = (done) =>
    Promise.all(
      Array.from({ length: connections }, () =>
        boss.work("effect", { batchSize: 50, pollingIntervalSeconds: 0.5 }, async (batch) => {
          await Promise.all(batch.map((job) => insert(job.data.n)));
          done(batch.length);
        }),
      ),
    );
  await measured(workers);
}

(queue === "pg-boss" ? pgBoss() : graphileWorker()).catch((error) => {
  console.error(error);
  process.exit(1);
});
