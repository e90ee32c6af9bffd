// Runs the official client against the server named by the first argument and exits with 1 at the first difference
// from what the reference server does. Every step prints one line.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import {
  BACKWARDS, END, FORWARDS, KurrentDBClient, NO_STREAM, START, StreamNotFoundError, WrongExpectedVersionError,
  jsonEvent, streamNameFilter,
} from "@kurrent/kurrentdb-client";

const url = process.argv[2];
const client = KurrentDBClient.connectionString(url);
const stream = `unit-${randomUUID()}`;
const event = (n, id = randomUUID()) => jsonEvent({ id, type: "Tested", data: { n }, metadata: { by: "node" } });
// Reads come through a native part of the client that gives small numbers as numbers, not as bigints.
const revision = (e) => Number(e.revision);
const commit = (e) => BigInt(e.position.commit);
const done = (what) => console.log("ok " + what);

const first = [event(0), event(1)];
const appended = await client.appendToStream(stream, first, { streamState: NO_STREAM });
assert.equal(appended.success, true);
assert.equal(appended.nextExpectedRevision, 1n);
assert.ok(appended.position.commit > 0n);
done("append");

const again = await client.appendToStream(stream, first, { streamState: NO_STREAM });
assert.equal(again.nextExpectedRevision, 1n);
assert.equal(again.position.commit, appended.position.commit);
done("repeat with the same ids");

await assert.rejects(
  client.appendToStream(stream, [event(2)], { streamState: NO_STREAM }),
  (error) => error instanceof WrongExpectedVersionError && error.actualState === 1n,
);
await assert.rejects(client.appendToStream(stream, [event(2)], { streamState: 7n }), WrongExpectedVersionError);
await assert.rejects(
  client.appendToStream(stream, [first[0], event(2)], { streamState: NO_STREAM }),
  WrongExpectedVersionError,
);
done("conflicts");

const backwards = [];
for await (const { event } of client.readStream(stream, { direction: BACKWARDS, fromRevision: END })) backwards.push(event);
assert.deepEqual(backwards.map(revision), [1, 0]);
assert.deepEqual(backwards.map((e) => e.id), [first[1].id, first[0].id]);
assert.deepEqual(backwards[0].data, { n: 1 });
assert.deepEqual(backwards[0].metadata, { by: "node" });
assert.ok(backwards[0].created instanceof Date);
done("read backwards");

const forwards = [];
for await (const { event } of client.readStream(stream, { direction: FORWARDS, fromRevision: 1n })) forwards.push(event);
assert.deepEqual(forwards.map(revision), [1]);
await assert.rejects(async () => {
  for await (const _ of client.readStream(`unit-${randomUUID()}`)) assert.fail("an event of no stream");
}, StreamNotFoundError);
done("read forwards, and what is not there");

const all = [];
for await (const { event } of client.readAll({ direction: FORWARDS, fromPosition: START })) all.push(event);
assert.ok(all.some((e) => e.streamId.startsWith("$")), "the server's own events");
const mine = all.filter((e) => e.streamId === stream);
assert.equal(mine.length, 2);
assert.ok(commit(mine[0]) < commit(mine[1]));
assert.equal(commit(mine[1]), appended.position.commit);
const inclusive = [];
for await (const { event } of client.readAll({ direction: FORWARDS, fromPosition: mine[1].position, maxCount: 1 })) inclusive.push(event);
assert.equal(inclusive[0].id, mine[1].id);
const exclusive = [];
for await (const { event } of client.readAll({ direction: BACKWARDS, fromPosition: mine[1].position, maxCount: 1 })) exclusive.push(event);
assert.equal(exclusive[0].id, mine[0].id);
done("read all");

// A subscription from the first event on, exclusive: the second, caught up, then live ones, and of other streams none.
const subscription = client.subscribeToAll({
  fromPosition: mine[0].position,
  filter: streamNameFilter({ prefixes: [stream], checkpointInterval: 1 }),
});
const seen = [];
let live;
const caughtUp = new Promise((resolve, reject) => {
  subscription.on("caughtUp", resolve);
  subscription.on("error", reject);
});
const three = new Promise((resolve, reject) => {
  live = resolve;
  subscription.on("error", reject);
});
subscription.on("data", ({ event }) => {
  seen.push(event);
  if (seen.length === 3) live();
});
await caughtUp;
assert.deepEqual(seen.map(revision), [1]);
done("filtered subscription, caught up");
await client.appendToStream(`other-${randomUUID()}`, [event(0)]);
await client.appendToStream(stream, [event(2), event(3)], { streamState: 1n });
await three;
assert.deepEqual(seen.map(revision), [1, 2, 3]);
assert.ok(seen.every((e) => e.streamId === stream));
await subscription.unsubscribe();
done("live events");

await client.tombstoneStream(stream);
await assert.rejects(async () => {
  for await (const _ of client.readStream(stream)) assert.fail("an event of a deleted stream");
});
done("tombstone");
await client.dispose();
console.log("all ok");
