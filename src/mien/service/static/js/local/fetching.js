// Files, with news of how much of them has come.

// Returns the files' bytes; onProgress({loaded, total}), where total is 0 if it is not known.
export async function fetchAll(urls, onProgress) {
  const responses = await Promise.all(urls.map(async (url) => {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url} could not be fetched (${response.status})`);
    return response;
  }));
  const sizes = responses.map((response) => Number(response.headers.get("Content-Length")) || 0);
  const total = sizes.every(Boolean) ? sizes.reduce((sum, size) => sum + size, 0) : 0;
  let loaded = 0;
  return Promise.all(responses.map(async (response) => {
    const parts = [];
    const reader = response.body.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      parts.push(part.value);
      loaded += part.value.length;
      onProgress({ loaded, total });
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  }));
}
