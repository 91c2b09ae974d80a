/**
 * An AudioWorklet that plays 16-bit samples as they come: it waits for a little audio before it begins, and again after it
 * ran dry, so that a network that stutters is not heard. Register it with `audioWorklet.addModule('jitter-buffer.js')`.
 */
class JitterBuffer extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.startSamples = (processorOptions.startMs / 1000) * sampleRate;
    this.chunks = [];
    this.offset = 0;
    this.waiting = 0;
    this.playing = false;
    this.played = 0;
    this.ended = false;
    this.port.onmessage = ({ data }) => {
      if (data === 'end') this.ended = true;
      else if (data === 'clear') {
        // Barge-in: what was not heard yet never will be. `played` says how much was.
        this.chunks = [];
        this.offset = this.waiting = 0;
        this.playing = false;
        this.port.postMessage({ playedMs: (this.played / sampleRate) * 1000 });
      } else {
        this.chunks.push(data);
        this.waiting += data.length;
      }
    };
  }

  process(_inputs, [[output]]) {
    if (!this.playing && (this.waiting >= this.startSamples || (this.ended && this.waiting > 0))) this.playing = true;
    for (let i = 0; i < output.length && this.playing; i++) {
      const chunk = this.chunks[0];
      if (chunk === undefined) {
        this.playing = false;
        break;
      }
      output[i] = chunk[this.offset++];
      this.waiting--;
      this.played++;
      if (this.offset === chunk.length) {
        this.chunks.shift();
        this.offset = 0;
      }
    }
    return true;
  }
}

registerProcessor('jitter-buffer', JitterBuffer);
