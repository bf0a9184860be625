// usage: verify.js REGION KEY_ID SECRET < REQUEST
// Whether a request as it was sent has a signature of AWS Signature Version 4 for DynamoDB, calculated here from what the
// specification says: 0 and the names of the headers that are signed, or 1 and what is wrong.
'use strict';

const {createHash, createHmac, timingSafeEqual} = require('node:crypto');
const [region, keyId, secret] = process.argv.slice(2);

const bytes = require('node:fs').readFileSync(0);
const end = bytes.indexOf('\r\n\r\n');
const [first, ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
const body = bytes.subarray(end + 4);
const headers = new Map(lines.map((line) => {
  const colon = line.indexOf(':');
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim().replace(/ +/g, ' ')];
}));
function wrong(why) {
  console.log(why);
  process.exit(1);
}

const [method, path] = first.split(' ');
const form = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/;
const parts = form.exec(headers.get('authorization') ?? '') ?? wrong('no such authorization');
const [, itsKeyId, day, itsRegion, service, signed, signature] = parts;
const time = headers.get('x-amz-date') ?? wrong('no date');
if (itsKeyId !== keyId || itsRegion !== region || service !== 'dynamodb') wrong('another key, region or service');
if (!/^\d{8}T\d{6}Z$/.test(time) || time.slice(0, 8) !== day) wrong('another day');
const age = Date.now() - Date.parse(time.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'));
if (Math.abs(age) > 5 * 60 * 1000) wrong('another time');

const names = signed.split(';');
if ([...names].sort().join(';') !== signed) wrong('the headers are not in order');
for (const needed of ['host', 'x-amz-date', 'x-amz-target']) if (!names.includes(needed)) wrong(needed + ' is not signed');
if (headers.has('x-amz-security-token') && !names.includes('x-amz-security-token')) wrong('the token is not signed');
for (const name of names) if (!headers.has(name)) wrong(name + ' is signed and was not sent');

const hash = (data) => createHash('sha256').update(data).digest('hex');
const hmac = (key, data) => createHmac('sha256', key).update(data).digest();
const canonical = [method, path, '', ...names.map((name) => name + ':' + headers.get(name)), '', signed, hash(body)].join('\n');
const text = ['AWS4-HMAC-SHA256', time, [day, region, service, 'aws4_request'].join('/'), hash(canonical)].join('\n');
const key = [day, region, service, 'aws4_request'].reduce(hmac, 'AWS4' + secret);
if (!timingSafeEqual(hmac(key, text), Buffer.from(signature, 'hex'))) wrong('another signature');
console.log(signed);
