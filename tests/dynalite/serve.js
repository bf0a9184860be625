// usage: serve.js PORT SOCKET [--plain | --path FOLDER]
// dynalite on a port of this machine and on a socket with a path. Unless it is plain, with what DynamoDB has and
// dynalite lacks, made of what dynalite has: TransactWriteItems with its token, the item in the answer to a condition
// that does not hold, and UpdateTimeToLive (which says that it is done, and removes nothing). With a folder, what it
// has acknowledged is still there when it is killed and started again; of a transaction that was under way, a part may
// be.
'use strict';

const http = require('node:http');
const {Readable} = require('node:stream');

const [port, socket, option, path] = process.argv.slice(2);
const plain = option === '--plain';
const dynalite = require('dynalite')({createTableMs: 0, deleteTableMs: 0, updateTableMs: 0, path});

/** Asks dynalite, as a request would. */
function ask(headers, target, body) {
  return new Promise((resolve) => {
    const request = Readable.from([Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))]);
    Object.assign(request, {method: 'POST', url: '/', headers: {...headers, 'x-amz-target': target}});
    const answer = {
      headers: {},
      setHeader(name, value) { this.headers[name] = value; },
      end(text) { resolve({status: this.statusCode, headers: this.headers, text}); },
    };
    dynalite.emit('request', request, answer);
  });
}
const version = 'DynamoDB_20120810.';
const good = (value) => ({status: 200, headers: {'Content-Type': 'application/x-amz-json-1.0'}, text: JSON.stringify(value)});
const bad = (type, more) => ({
  status: 400,
  headers: {'Content-Type': 'application/x-amz-json-1.0'},
  text: JSON.stringify({__type: type, ...more}),
});
const fails = (answer) => answer.status !== 200;
const type = (answer) => JSON.parse(answer.text).__type.split('#').pop();

/** What is there, or nothing. */
async function find(headers, {TableName, Key}) {
  return JSON.parse((await ask(headers, version + 'GetItem', {TableName, Key, ConsistentRead: true})).text).Item;
}

const tokens = new Map();

/** One after the other, and back if one of them fails: nobody else is served meanwhile. */
async function transact(headers, {ClientRequestToken: token, TransactItems: items}) {
  const invalid = (message) => bad('com.amazon.coral.validate#ValidationException', {message});
  if (!Array.isArray(items) || items.length < 1 || items.length > 100) return invalid('1 to 100 items');
  const text = JSON.stringify(items);
  if (tokens.has(token)) {
    if (tokens.get(token) === text) return good({});
    return bad('com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException');
  }
  const names = new Set();
  const done = [];
  const reasons = items.map(() => ({Code: 'None'}));
  let failed = null;
  for (const [i, item] of items.entries()) {
    const [kind, ...others] = Object.keys(item);
    const request = item[kind];
    const name = JSON.stringify([request.TableName, request.Key]);
    if (others.length > 0 || !['Update', 'ConditionCheck'].includes(kind)) failed = invalid('one Update or ConditionCheck');
    if (names.has(name)) failed = invalid('two operations on one item');
    if (kind === 'ConditionCheck' && request.UpdateExpression) failed = invalid('a check that updates');
    if (failed) break;
    names.add(name);
    const before = await find(headers, request);
    const answer = await ask(headers, version + 'UpdateItem', request);
    if (!fails(answer)) {
      done.push({request, before});
      continue;
    }
    const why = type(answer);
    if (why === 'ConditionalCheckFailedException') {
      reasons[i] = {Code: 'ConditionalCheckFailed', Message: 'The conditional request failed'};
    } else if (why === 'ValidationException' && JSON.parse(answer.text).message.includes('Item size')) {
      reasons[i] = {Code: 'ValidationError', Message: 'Item size to update has exceeded the maximum allowed size'};
    } else {
      failed = answer;
      break;
    }
  }
  if (!failed && reasons.some(({Code}) => Code !== 'None')) {
    failed = bad('com.amazonaws.dynamodb.v20120810#TransactionCanceledException',
                 {CancellationReasons: reasons, Message: 'Transaction cancelled'});
  }
  for (const {request: {TableName, Key, UpdateExpression}, before} of done) {
    if (!failed && UpdateExpression) continue;
    const back = before ? await ask(headers, version + 'PutItem', {TableName, Item: before})
                        : await ask(headers, version + 'DeleteItem', {TableName, Key});
    if (fails(back)) process.exit(3);
  }
  if (!failed && token) tokens.set(token, text);
  return failed ?? good({});
}

async function serve(headers, target, body) {
  if (plain) return ask(headers, target, body);
  if (target === version + 'TransactWriteItems') return transact(headers, JSON.parse(body));
  if (target === version + 'UpdateTimeToLive') return good({});
  const answer = await ask(headers, target, body);
  if (target !== version + 'UpdateItem' || !fails(answer) || type(answer) !== 'ConditionalCheckFailedException') return answer;
  const request = JSON.parse(body);
  if (request.ReturnValuesOnConditionCheckFailure !== 'ALL_OLD') return answer;
  const Item = await find(headers, request);
  return Item ? bad('com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException', {Item}) : answer;
}

let last = Promise.resolve();
function listen(...where) {
  http.createServer((request, answer) => {
    const parts = [];
    request.on('error', () => {});
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      last = last.then(() => serve(request.headers, request.headers['x-amz-target'] ?? '', Buffer.concat(parts).toString()))
                 .then(({status, headers, text}) => answer.writeHead(status, headers).end(text));
    });
  }).listen(...where);
}
listen(Number(port), '127.0.0.1');
listen(socket);
