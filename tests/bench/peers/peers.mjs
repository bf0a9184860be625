// usage: peers.mjs NAME JSON
// How many nanoseconds a call takes that does in JavaScript what the library does; the least of many rounds.
// NAME is one of `texts`, and JSON the text; or one of `requests`, and JSON is what the listener must have heard and the
// snapshot be: {"heard": 7, "snapshot": {...}}.
import {deepStrictEqual} from 'node:assert';

process.env.NODE_ENV = 'production'; // before anything is imported

const texts = {
  parse: (text) => () => JSON.parse(text),
  stringify: (text) => {
    const object = JSON.parse(text);
    return () => JSON.stringify(object);
  },
};

// The request of request.hpp: values of its own, of which two are written and one has a listener, and a snapshot. What is
// declared once, for all requests, is outside of the function that is returned. What a request leaves behind, the garbage
// collector takes.

const anonymous = {name: 'Anon', age: 0};
const user = () => ({name: 'Ada', age: 36});
const noCount = 0;
const emptyCart = [];
const sum = (now, old) => now.name.length + old.name.length;

/** Values by key, which a request may change where they are: so each one has copies, and so has its snapshot. */
function inMap(copyUser, copyCart) {
  const templates = {
    user: {key: 'bench.user', initial: anonymous, copy: copyUser},
    count: {key: 'bench.count', initial: noCount, copy: (count) => count},
    cart: {key: 'bench.cart', initial: emptyCart, copy: copyCart},
  };
  class Store {
    slots = new Map();

    use({key, initial, copy}) {
      let slot = this.slots.get(key);
      if (!slot) this.slots.set(key, (slot = {value: copy(initial), copy, listeners: []}));
      return slot;
    }
    static update(slot, next) {
      const old = slot.value;
      if (Object.is(old, next)) return;
      slot.value = next;
      for (const listener of slot.listeners) listener(next, old);
    }
    snapshot() {
      const values = {};
      for (const [key, {value, copy}] of this.slots) values[key] = copy(value);
      return values;
    }
  }
  return () => {
    let heard = 0;
    const store = new Store();
    const itsUser = store.use(templates.user);
    const itsCount = store.use(templates.count);
    store.use(templates.cart);
    itsUser.listeners.push((now, old) => (heard += sum(now, old)));
    Store.update(itsUser, user());
    Store.update(itsCount, 5);
    return {heard, snapshot: store.snapshot()};
  };
}

const requests = {
  copies: () =>
    inMap(
      ({name, age}) => ({name, age}),
      (cart) => cart.map(({name, quantity}) => ({name, quantity})),
    ),
  structuredClone: () => inMap(structuredClone, structuredClone),

  async effector() {
    const {allSettled, createEvent, createStore, createWatch, fork, serialize} = await import('effector');
    const userChanged = createEvent();
    const countChanged = createEvent();
    const $user = createStore(anonymous, {sid: 'bench.user'}).on(userChanged, (_, next) => next);
    const $count = createStore(noCount, {sid: 'bench.count'}).on(countChanged, (_, next) => next);
    const $cart = createStore(emptyCart, {sid: 'bench.cart'});
    return async () => {
      let heard = 0;
      const scope = fork();
      let old = scope.getState($user);
      scope.getState($count);
      scope.getState($cart);
      createWatch({
        unit: $user,
        scope,
        fn(now) {
          heard += sum(now, old);
          old = now;
        },
      });
      await allSettled(userChanged, {scope, params: user()});
      await allSettled(countChanged, {scope, params: 5});
      // Of a scope it takes what was written.
      return {heard, snapshot: {...serialize(scope), 'bench.cart': scope.getState($cart)}};
    };
  },

  async jotai() {
    const {atom, createStore} = await import('jotai/vanilla');
    const userAtom = atom(anonymous);
    const countAtom = atom(noCount);
    const cartAtom = atom(emptyCart);
    return () => {
      let heard = 0;
      const store = createStore();
      let old = store.get(userAtom);
      store.get(countAtom);
      store.get(cartAtom);
      store.sub(userAtom, () => {
        const now = store.get(userAtom);
        heard += sum(now, old);
        old = now;
      });
      store.set(userAtom, user());
      store.set(countAtom, 5);
      const snapshot = {
        'bench.user': store.get(userAtom),
        'bench.count': store.get(countAtom),
        'bench.cart': store.get(cartAtom),
      };
      return {heard, snapshot};
    };
  },

  /** Which has neither stores nor scopes: a request makes atoms of its own. */
  async nanostores() {
    const {atom} = await import('nanostores');
    return () => {
      let heard = 0;
      const $user = atom(anonymous);
      const $count = atom(noCount);
      const $cart = atom(emptyCart);
      $user.listen((now, old) => (heard += sum(now, old)));
      $user.set(user());
      $count.set(5);
      const snapshot = {'bench.user': $user.get(), 'bench.count': $count.get(), 'bench.cart': $cart.get()};
      return {heard, snapshot};
    };
  },
};

let kept;
/** Nanoseconds that so many calls take. */
async function time(call, count) {
  const begin = process.hrtime.bigint();
  for (let i = 0; i < count; ++i) {
    kept = call();
    if (kept instanceof Promise) kept = await kept;
  }
  return Number(process.hrtime.bigint() - begin);
}

const [name, text] = process.argv.slice(2);
const call = texts[name] ? texts[name](text) : await requests[name]();
if (requests[name]) deepStrictEqual(await call(), JSON.parse(text));
let count = 1;
while ((await time(call, count)) < 5e6) count *= 2;
let least = Infinity;
for (const end = performance.now() + 400; performance.now() < end; ) {
  least = Math.min(least, (await time(call, count)) / count);
}
console.log(least);
