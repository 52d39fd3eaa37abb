// Speaks to a practice org with jsforce and prints what it saw as one JSON object.
//   node jsforce_check.mjs '{"url": "http://127.0.0.1:…", "token": "00D…!…"}'
import jsforce from 'jsforce';

const { url, token } = JSON.parse(process.argv[2]);
const org = new jsforce.Connection({ instanceUrl: url, accessToken: token, version: '62.0' });
const seen = {};

const identity = await org.identity();
seen.identity = { organization: identity.organization_id, username: identity.username };

const everything = await org.describeGlobal();
seen.sobjects = everything.sobjects.map((one) => one.name);
const account = await org.describe('Account');
seen.nameField = account.fields.find((one) => one.name === 'Name');

const created = await org.sobject('Account').create([{ Name: 'js one' }, { Name: 'js two' }, { Site: 'nameless' }], { allOrNone: false });
seen.created = created;
const one = await org.sobject('Account').retrieve(created[0].id);
seen.retrieved = one.Name;
seen.updated = await org.sobject('Account').update({ Id: created[0].id, Name: 'js first' });
seen.upserted = await org.sobject('Account').upsert({ Code__c: 'js-1', Name: 'js upserted' }, 'Code__c');

const page = await org.query("SELECT Id, Name, Owner.Name, (SELECT LastName FROM Contacts) FROM Account WHERE Name LIKE 'js%' ORDER BY Name");
seen.queried = { totalSize: page.totalSize, names: page.records.map((row) => row.Name), owner: page.records[0].Owner.Name, contacts: page.records[0].Contacts };
seen.counted = (await org.query('SELECT COUNT() FROM Account')).totalSize;
try {
  await org.query('SELECT Nope FROM Account');
} catch (problem) {
  seen.refusal = problem.errorCode;
}

org.bulk2.pollInterval = 50;
org.bulk2.pollTimeout = 60000;
const rows = Array.from({ length: 2500 }, (_, number) => ({ LastName: `Bulk ${number}`, Email: `b${number}@x.example` }));
rows.push({ LastName: '', Email: 'nobody@x.example' });
const loaded = await org.bulk2.loadAndWaitForResults({ object: 'Contact', operation: 'insert', input: rows, pollInterval: 50, pollTimeout: 60000 });
seen.loaded = { good: loaded.successfulResults.length, bad: loaded.failedResults.length, unprocessed: loaded.unprocessedRecords.length, error: loaded.failedResults[0]?.sf__Error };

const stream = await org.bulk2.query('SELECT Id, LastName, Email FROM Contact', { pollInterval: 50, pollTimeout: 60000 });
const records = await stream.toArray();
seen.extracted = { count: records.length, keys: Object.keys(records[0]) };

org.bulk.pollInterval = 50;
org.bulk.pollTimeout = 60000;
const old = await (await org.bulk.query("SELECT Id, LastName FROM Contact WHERE LastName LIKE 'Bulk%'")).toArray();
seen.extractedByOne = { count: old.length, keys: Object.keys(old[0]) };

const removed = await org.sobject('Account').destroy([created[0].id, created[1].id]);
seen.removed = removed.map((result) => result.success);
console.log(JSON.stringify(seen));
