// JSON Patch (RFC 6902), for the states and activities of agents.

function pointerTokens(pointer) {
  if (pointer === '') return [];
  if (!pointer.startsWith('/')) throw new Error(`no JSON pointer: ${pointer}`);
  const tokens = pointer.slice(1).split('/').map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
  // Assigned to, this name would change the object's kind instead of its members.
  if (tokens.includes('__proto__')) throw new Error('a member that is not written');
  return tokens;
}

function arrayIndex(array, token, last) {
  const index = token === '-' ? array.length : Number(token);
  if (!/^(-|0|[1-9][0-9]*)$/.test(token) || index > last) throw new Error(`no element ${token}`);
  return index;
}

function child(parent, token) {
  if (Array.isArray(parent)) return parent[arrayIndex(parent, token, parent.length - 1)];
  if (parent === null || typeof parent !== 'object' || !Object.hasOwn(parent, token)) throw new Error(`no member ${token}`);
  return parent[token];
}

const valueAt = (root, pointer) => pointerTokens(pointer).reduce(child, root);

function add(root, pointer, value) {
  const tokens = pointerTokens(pointer);
  if (tokens.length === 0) return value;
  const last = tokens.pop();
  const parent = tokens.reduce(child, root);
  if (Array.isArray(parent)) parent.splice(arrayIndex(parent, last, parent.length), 0, value);
  else if (parent !== null && typeof parent === 'object') parent[last] = value;
  else throw new Error(`nothing to add ${last} to`);
  return root;
}

function remove(root, pointer) {
  const tokens = pointerTokens(pointer);
  if (tokens.length === 0) return null;
  const last = tokens.pop();
  const parent = tokens.reduce(child, root);
  child(parent, last);
  if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else delete parent[last];
  return root;
}

function isEqual(one, other) {
  if (one === null || other === null || typeof one !== 'object' || typeof other !== 'object') return one === other;
  const names = Object.keys(one);
  return Array.isArray(one) === Array.isArray(other) && names.length === Object.keys(other).length
    && names.every((name) => Object.hasOwn(other, name) && isEqual(one[name], other[name]));
}

function applyOperation(root, { op, path, from, value }) {
  switch (op) {
    case 'add': return add(root, path, structuredClone(value));
    case 'remove': return remove(root, path);
    case 'replace':
      valueAt(root, path);
      return path === '' ? value : add(remove(root, path), path, structuredClone(value));
    case 'copy': return add(root, path, structuredClone(valueAt(root, from)));
    case 'move': {
      const moved = valueAt(root, from);
      return add(remove(root, from), path, moved);
    }
    case 'test':
      if (!isEqual(valueAt(root, path), value)) throw new Error(`test of ${path} failed`);
      return root;
    default: throw new Error(`no operation ${op}`);
  }
}

/** Applies a patch (RFC 6902) as a whole or not at all, and returns the changed copy. */
export function patched(value, operations) {
  return operations.reduce(applyOperation, structuredClone(value));
}
