/** Every test file of the suite; the bundler follows this list. */
import './activation.test';
